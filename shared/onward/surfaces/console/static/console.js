"use strict";
// Pages are whole without this. It says times in the reader's zone, and keeps a page up to date: it asks for the same page
// again and puts in what is new, part by part; a part that somebody is filling in stays as it is, and says so.

const main = document.querySelector("main");

function sayTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const today = at.toDateString() === new Date().toDateString();
    each.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
    each.title = at.toISOString();
  }
}

function speak(text) {
  const place = document.getElementById("spoken");
  if (place) place.textContent = text;
}

// --- one page, again -------------------------------------------------------------------------------------------

const shown = new Map(); // what each part was when it came from the server: [data-part] -> HTML

function remember(root) {
  for (const each of root.querySelectorAll("[data-part]")) shown.set(each.dataset.part, each.innerHTML);
}

function inUse(part) {
  const focus = document.activeElement;
  return part.matches("[data-filled]") || (part.contains(focus) && focus.matches("input, select, textarea"));
}

function replacePart(old, now) {
  if (shown.get(old.dataset.part) === now.innerHTML) return;
  if (inUse(old)) {
    document.getElementById("stale").hidden = false;
    return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
  shown.set(old.dataset.part, now.innerHTML);
  old.replaceChildren(...now.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus();
  sayTimes(old);
}

function withoutKeys(doc) { // each page has forms of its own; what is the same but for that is the same
  for (const each of doc.querySelectorAll("input[name=key]")) each.removeAttribute("value");
}

async function load(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

async function renew() {
  const doc = await load(location.href);
  if (!doc) return false;
  for (const part of document.querySelectorAll("[data-part]")) {
    const now = doc.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (now) replacePart(part, now);
  }
  return true;
}

// --- when ------------------------------------------------------------------------------------------------------

let busy = false;
let again = false;

async function refresh(work) { // one at a time; who asks meanwhile is served once more after it
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    do {
      again = false;
      await work();
    } while (again);
  } catch {
    // the next time may succeed
  } finally {
    busy = false;
  }
}

function every(seconds) {
  const look = () => document.hidden || refresh(renew);
  setInterval(look, seconds * 1000);
  document.addEventListener("visibilitychange", look);
}

document.addEventListener("input", (event) => event.target.closest("[data-part]")?.setAttribute("data-filled", ""));
document.addEventListener("submit", (event) => { // once is enough
  const form = event.target;
  if (!form.matches("[data-form]")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", (event) => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  if (event.persisted) refresh(renew);
});

sayTimes(document);
remember(document);
if (main?.dataset.every) every(Number(main.dataset.every));
