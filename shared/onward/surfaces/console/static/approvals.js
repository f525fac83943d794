"use strict";
// Keys of the inbox. They move, and mark a button: what is marked is pressed by Enter, so that no stray key decides.

const cards = () => [...document.querySelectorAll("[data-card]")];
const typed = (place) => place.matches("input:not([type=checkbox]), textarea, select");

function current() {
  return document.activeElement.closest("[data-card]") ?? (cards().length ? null : document.querySelector("main"));
}

function move(by) {
  const all = cards();
  const at = all.indexOf(document.activeElement.closest("[data-card]"));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function mark(key) {
  const found = current()?.querySelector(`[data-key="${key}"]`);
  found?.focus();
  return found;
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  a: () => mark("a"),
  r: () => mark("r"),
  w: () => mark("w"),
  e: () => current()?.querySelector('[data-key="e"]')?.click(),
  x: () => mark("x")?.click(),
  "?": () => { const hints = document.getElementById("keys"); if (hints) hints.hidden = !hints.hidden; },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && typed(event.target)) event.target.closest("[data-card]")?.focus();
  if (typed(event.target) || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

// --- how long there is ------------------------------------------------------------------------------------------

function span(seconds) {
  if (seconds <= 0) return "none";
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  return units.slice(at, at + 2).map(([unit, size], n) => `${Math.floor((n ? seconds % units[at][1] : seconds) / size)} ${unit}`).join(" ");
}

function sayLeft() {
  for (const each of document.querySelectorAll("[data-left]")) {
    each.textContent = span(Math.floor((Date.parse(each.dataset.left) - Date.now()) / 1000));
  }
}

if (cards().length) document.getElementById("keys")?.removeAttribute("hidden");
sayLeft();
setInterval(sayLeft, 1000);
