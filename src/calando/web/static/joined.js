// Curves of one chart on common steps, as uPlot has them: [steps, values of the first, values of the second, …].

const EXACT = 40_000; // cells up to which every step stands for itself

export function joined(curves, from, to, pixels) {
  const points = curves.reduce((sum, curve) => sum + curve.x.length, 0);
  const near = points * curves.length > EXACT * 10 && to > from ? rounded(from, to, 4 * pixels) : (x) => x;
  const steps = new Set();
  for (const curve of curves) for (const x of curve.x) steps.add(near(x));
  const common = Float64Array.from(steps).sort();
  const made = [common];
  for (const curve of curves) {
    for (const y of curve.ys) {
      const column = new Array(common.length).fill(null);
      let at = 0;
      for (let place = 0; place < curve.x.length; place += 1) {
        const x = near(curve.x[place]);
        while (common[at] < x) at += 1;
        if (y[place] !== null && Number.isFinite(y[place])) column[at] = y[place];
      }
      made.push(column);
    }
  }
  return made;
}

// To the nearest quarter of a pixel: what cannot be seen to differ shares a step.
function rounded(from, to, cells) {
  const width = (to - from) / cells;
  return width <= 1 ? (x) => x : (x) => from + Math.round((x - from) / width) * width;
}

// Where the last point is that is not beyond a step; -1: none.
export function before(x, step) {
  let low = 0, high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// The value of a curve at a step: of the nearest of its points.
export function valueAt(x, y, step) {
  if (!x.length) return null;
  const left = Math.max(0, before(x, step)), right = Math.min(x.length - 1, left + 1);
  return y[Math.abs(x[right] - step) < Math.abs(x[left] - step) ? right : left];
}
