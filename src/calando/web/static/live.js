// Looks every few seconds whether the study got further, and shows it if so; asks it to stop.
"use strict";
(() => {
  const EVERY = 3000;
  const said = document.getElementById("said");
  const stop = document.getElementById("stop");
  let known = null;

  async function look() {
    try {
      const answer = await fetch("/api/summary", { cache: "no-store" });
      if (answer.ok) {
        const summary = await answer.json();
        const now = JSON.stringify([summary.runs_done, summary.runs_expected, summary.complete]);
        // The browser keeps the place on the page over a reload.
        if (known !== null && now !== known) return location.reload();
        known = now;
        if (summary.complete) return;
      }
    } catch {
      if (said) said.textContent = "The server does not answer.";
    }
    setTimeout(look, EVERY);
  }

  if (stop) {
    stop.addEventListener("click", async () => {
      stop.disabled = true;
      const answer = await fetch("/commands/stop", { method: "POST" });
      said.textContent = answer.ok ? "Asked. The runs in hand are put away; the same command goes on where they stood." : await answer.text();
      if (!answer.ok) stop.disabled = false;
    });
  }
  if (document.body.dataset.live === "running") look();
})();
