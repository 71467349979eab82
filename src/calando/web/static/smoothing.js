// An exponential mean of a curve, without the pull of its first value: m_k = Σ w^(k-i) y_i / Σ w^(k-i).

export function smoothed(y, weight) {
  const made = new Array(y.length);
  let mean = 0, mass = 0;
  for (let place = 0; place < y.length; place += 1) {
    const value = y[place];
    if (value === null || !Number.isFinite(value)) {
      made[place] = null;
      continue;
    }
    mean = weight * mean + value;
    mass = weight * mass + 1;
    made[place] = mean / mass;
  }
  return made;
}
