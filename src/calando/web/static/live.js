// Looks every few seconds whether the study got further, and shows it if so; asks it to stop.
"use strict";
(() => {
  const EVERY = 3000;
  const status = document.getElementById("stop-status");
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
      if (status) status.textContent = "The server does not answer.";
    }
    setTimeout(look, EVERY);
  }

  if (stop) {
    stop.addEventListener("click", async () => {
      stop.disabled = true;
      const answer = await fetch("/commands/stop", { method: "POST" });
      status.textContent = answer.ok ? "Stopping: runs in progress are saved; the same command resumes them." : await answer.text();
      if (!answer.ok) stop.disabled = false;
    });
  }
  if (document.body.dataset.live === "running") look();
})();
