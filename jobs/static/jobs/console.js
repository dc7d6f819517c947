// Update ages, refresh Home, and add keyboard shortcuts. Every action works without this script.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // --- Ages, by the server's clock: subtract its difference to this machine's. ---
  const stamp = $("[data-server-now]");
  let failing = false;
  const ahead = stamp ? Date.now() - Date.parse(stamp.dataset.serverNow) : 0;
  const words = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    const units = [["d", Math.floor(s / 86400)], ["h", Math.floor(s / 3600) % 24], ["m", Math.floor(s / 60) % 60], ["s", s % 60]];
    let first = units.findIndex(([, n]) => n);
    if (first < 0) first = units.length - 1;
    return units.slice(first, first + 2).filter(([, n]) => n).map(([u, n]) => `${n} ${u}`).join(" ") || "0 s";
  };
  const tick = () => {
    if (document.hidden) return;
    const now = Date.now() - ahead;
    // Only where the page is refreshed: elsewhere an age says how old a fact was when the page was read.
    if (failing) return;
    for (const el of $$("[data-live] time[data-age], #result_list[data-fresh] tr:not([data-gone], [data-pushed]) time[data-age]")) {
      const delta = now - Date.parse(el.dateTime);
      const text = delta >= 0 ? words(delta) : `in ${words(-delta)}`;
      if (el.textContent !== text) el.textContent = text;
    }
  };
  setInterval(tick, 1000);
  if ($("[data-rows]") && $("#result_list")) $("#result_list").dataset.fresh = "";

  // --- Moments to come, in the zone of the reader. The tooltip has the installation's. ---
  const day = { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  const shapes = [day, { ...day, second: "2-digit" }].map((shape) => new Intl.DateTimeFormat(undefined, shape));
  const localise = () => {
    for (const el of $$("time[data-local]")) {
      const moment = new Date(el.dateTime);
      el.textContent = shapes[moment.getSeconds() ? 1 : 0].format(moment);
    }
  };
  localise();
  document.addEventListener("htmx:afterSwap", localise);

  // --- Live lists: rows that are there get their new figures in place, so that ticks, focus and scroll stay. What is
  // new is counted, and shown when the user asks for it. ---
  const rowKey = (row) => row.dataset.key || ($("input.action-select", row) || {}).value || ($("a", row) || {}).href || row.textContent;
  const merge = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const fresh = new Map($$("#result_list tbody tr", next).map((row) => [rowKey(row), row]));
    const old = $$("#result_list tbody tr");
    // Rows at the end may be on the next page now, since new ones came in front of them.
    const stays = (row) => fresh.has(rowKey(row));
    const came = fresh.size - old.filter(stays).length, last = old.findLastIndex(stays);
    const pushed = old.length - 1 - last <= came ? last : old.length;
    for (const [n, row] of old.entries()) {
      const now = fresh.get(rowKey(row));
      fresh.delete(rowKey(row));
      row.toggleAttribute("data-gone", !now && n < pushed);
      row.toggleAttribute("data-pushed", !now && n > pushed);
      if (!now || now.cells.length !== row.cells.length) continue;
      [...row.cells].forEach((cell, n) => {
        const same = cell.innerHTML === now.cells[n].innerHTML;
        if (!same && !cell.classList.contains("action-checkbox") && !cell.contains(document.activeElement) && !$("details[open]", cell)) cell.replaceChildren(...now.cells[n].childNodes);
      });
    }
    const line = $("#new-rows"), link = $("a", line);
    line.hidden = fresh.size === 0;
    const words = fresh.size ? `${fresh.size} new, show` : "";
    if (link.textContent !== words) { link.textContent = words; if (words) say(words); }
  };

  // --- Live regions: keep open details and scroll positions, and announce failures. ---
  let kept = null;
  const say = (text) => { const live = $("#live-status"); if (live) live.textContent = text; };
  const stale = (why) => {
    const line = $("#updated");
    if (!line) return;
    line.dataset.stale = "";
    const since = $("time", line);
    line.replaceChildren(`${why} Last updated `, since, ".");
    if (!failing) say(why);
    failing = true;
  };
  const live = (event) => event.detail.elt && event.detail.elt.closest && event.detail.elt.closest("[data-live]");
  document.addEventListener("htmx:beforeRequest", (event) => {
    // Do not refresh a hidden page, or while the user chooses in a menu or selects text.
    if (!live(event)) return;
    const marked = String(getSelection()).length > 0, at = document.activeElement;
    // What is being typed in a part that is replaced would be lost.
    const typing = at instanceof HTMLSelectElement || (live(event).contains(at) && at.matches("input:not([type=hidden]), textarea"));
    if (document.hidden || marked || typing) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const region = live(event);
    if (!region) return;
    if (!event.detail.xhr.responseText.includes(`id="${region.id}"`)) {
      event.detail.shouldSwap = false;
      stale("You are logged out; load the page again.");
      return;
    }
    if ("rows" in region.dataset) merge(event.detail.xhr.responseText);
    const folded = "rows" in region.dataset ? [] : $$("details:not([id])", region).map((el) => el.open);
    kept = { region: region.id, folded, open: $$("details[open][id]").map((el) => el.id), left: $$("[id].scroll").map((el) => [el.id, el.scrollLeft, el.scrollTop]), y: scrollY };
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (!kept) return;
    // Those without a name are known by their place, while there are as many of them.
    const nameless = $$(`#${kept.region} details:not([id])`);
    if (nameless.length === kept.folded.length) nameless.forEach((el, n) => { el.open = kept.folded[n]; });
    for (const id of kept.open) { const el = document.getElementById(id); if (el) el.open = true; }
    for (const [id, left, top] of kept.left) { const el = document.getElementById(id); if (el) { el.scrollLeft = left; el.scrollTop = top; } }
    scrollTo({ top: kept.y, behavior: "instant" });
    kept = null;
    if (failing) say("Refreshing again.");
    failing = false;
    tick();
  });
  document.addEventListener("htmx:responseError", (event) => live(event) && stale("The server could not answer; trying again."));
  document.addEventListener("htmx:sendError", (event) => live(event) && stale("The server cannot be reached; trying again."));
  document.addEventListener("htmx:timeout", (event) => live(event) && stale("The server did not answer in time; trying again."));

  // --- Close menus on a click outside and on Escape ---
  document.addEventListener("click", (event) => {
    for (const el of $$(".filters details[open]")) if (!el.contains(event.target)) el.open = false;
  });

  // --- Copy what a button names: an element of the page, or a file of the server ---
  if (navigator.clipboard) for (const button of $$("[data-copy], [data-copy-from]")) button.hidden = false;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) return;
    const { copy, copyFrom } = button.dataset;
    try {
      const text = copy ? $(copy).textContent : await (await fetch(copyFrom)).text();
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
  });

  // --- Keyboard shortcuts ---
  const help = $("#keys"), button = $("#keys-help");
  if (button && help) {
    button.hidden = false;
    button.addEventListener("click", () => help.showModal());
  }
  const rows = () => $$("#result_list tbody tr, .rows > li[data-row]").filter((row) => row.checkVisibility());
  let here = -1;
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    all.forEach((row) => row.removeAttribute("data-here"));
    here = Math.min(Math.max(here + by, 0), all.length - 1);
    all[here].dataset.here = "";
    const link = $("a", all[here]);
    if (link) link.focus({ preventScroll: true });
    all[here].scrollIntoView({ block: "nearest" });
  };
  const row = () => rows()[here];
  const go = (el) => { if (el) location.assign(el.href); };
  const place = (name) => go($$("#places a").find((a) => a.textContent.trim() === name));
  let after = "";
  const keys = {
    "/": () => $("#searchbar") && $("#searchbar").focus(),
    j: () => move(1),
    k: () => move(-1),
    x: () => row() && $("input.action-select", row()) && $("input.action-select", row()).click(),
    o: () => row() && go($("a", row())),
    r: () => go((row() && $("[data-release]", row())) || (!row() && $(".tools [data-release]"))),
    "?": () => help && help.showModal(),
    gh: () => place("Home"), gi: () => place("Incidents"), gj: () => place("Jobs"), gb: () => place("Bots"), gk: () => place("Kinds"), gy: () => place("History"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const el of $$(".filters details[open]")) { el.open = false; $("summary", el).focus(); }
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = after + event.key;
    after = event.key === "g" ? "g" : "";
    if (keys[name]) { event.preventDefault(); keys[name](); }
  });
})();
