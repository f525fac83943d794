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

function plain(part) { // what is the same but for the keys of its forms, and how long it has been so, is the same
  const copy = part.cloneNode(true);
  for (const each of copy.querySelectorAll("[data-from]")) each.textContent = "";
  for (const each of copy.querySelectorAll("input[name=key]")) each.removeAttribute("value");
  return copy.innerHTML;
}

function remember(root) {
  for (const each of root.querySelectorAll("[data-part]")) shown.set(each.dataset.part, plain(each));
}

function inUse(part) {
  const focus = document.activeElement;
  return part.matches("[data-filled]") || (part.contains(focus) && focus.matches("input, select, textarea"));
}

function replacePart(old, now) {
  const text = plain(now);
  if (shown.get(old.dataset.part) === text) return;
  if (inUse(old)) {
    document.getElementById("stale").hidden = false;
    return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
  shown.set(old.dataset.part, text);
  old.replaceChildren(...now.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus();
  sayTimes(old);
}

async function load(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

function putIn(doc) { // the parts of a page that this document has
  for (const part of document.querySelectorAll("[data-part]")) {
    const now = doc.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (now) replacePart(part, now);
  }
}

async function renew() { // after a form that was refused, the page is not where the form was sent
  const doc = await load(main.dataset.page || location.href);
  if (doc) putIn(doc);
}

// --- when ------------------------------------------------------------------------------------------------------

const wanted = new Set();
let busy = false;

async function refresh(work) { // one at a time; what is asked for meanwhile is done once more after it
  wanted.add(work);
  if (busy) return;
  busy = true;
  for (const next of wanted) {
    wanted.delete(next);
    try {
      await next();
    } catch {
      // the next time may succeed
    }
  }
  busy = false;
}

function every(seconds) {
  const look = () => document.hidden || refresh(renew);
  setInterval(look, seconds * 1000);
  document.addEventListener("visibilitychange", look);
}

document.addEventListener("input", (event) => event.target.closest("[data-part]")?.setAttribute("data-filled", ""));
document.addEventListener("input", (event) => { // what is filled in is given
  const how = event.target.closest(".field")?.querySelector("[data-how]");
  if (how && how !== event.target) how.value = "given";
});
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
