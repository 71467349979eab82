// The report of a study that goes on: looks every few seconds whether it got further, and shows it if so.
"use strict";
(() => {
  const EVERY = 3000;
  const asked = `api/summary?place=${encodeURIComponent(new URLSearchParams(location.search).get("place") || "")}`;
  let known = null;

  async function look() {
    try {
      const answer = await fetch(asked, { cache: "no-store" });
      if (answer.ok) {
        const summary = await answer.json();
        const now = JSON.stringify([summary.runs_done, summary.runs_expected, summary.complete]);
        // The browser keeps the place on the page over a reload.
        if (known !== null && now !== known) return location.reload();
        known = now;
        if (summary.complete) return;
      }
    } catch {
      // The server does not answer: it is asked again.
    }
    setTimeout(look, EVERY);
  }

  if (document.body.dataset.live === "running") look();
})();
