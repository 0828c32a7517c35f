"use strict";
(() => {
  const seconds = Number(document.body.dataset.refresh);
  const pulse = document.querySelector(".pulse");
  const keyOf = (details) => details.dataset.key;
  const isBusy = () => document.activeElement instanceof HTMLInputElement;

  const take = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const main = document.querySelector("main");
    const fresh = next.querySelector("main");
    if (!fresh || !next.body.dataset.page) throw new Error("not a page of ours");
    const open = new Set([...main.querySelectorAll("details[open]")].map(keyOf));
    for (const details of fresh.querySelectorAll("details")) details.open = open.has(keyOf(details));
    const focused = document.activeElement?.dataset?.key;
    main.replaceWith(document.adoptNode(fresh));
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    document.body.dataset.refresh = next.body.dataset.refresh;
    return Number(next.body.dataset.refresh);
  };

  const look = async () => {
    let wait = seconds;
    try {
      if (!document.hidden && !isBusy()) {
        const answer = await fetch(location.href, { cache: "no-store" });
        if (!answer.ok) throw new Error(`it answers ${answer.status}`);
        wait = take(await answer.text());
        pulse.classList.remove("stale");
        pulse.textContent = wait ? `refreshes every ${wait} s` : "at rest";
      }
    } catch (trouble) {
      pulse.classList.add("stale");
      pulse.textContent = "The coordinator cannot be reached; what you see may be old.";
      wait = seconds;
    }
    if (wait) setTimeout(look, wait * 1000);
  };

  if (seconds) {
    pulse.textContent = `refreshes every ${seconds} s`;
    setTimeout(look, seconds * 1000);
  }
})();
