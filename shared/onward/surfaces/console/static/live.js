"use strict";
// A session as it goes on. The server says that there are new events; what they look like is asked for, page by page
// from the last one that is here, until none is left: so none is missing and none comes twice. In console.js is the rest.

const live = document.getElementById("live");
const events = document.getElementById("events");
const provisional = document.getElementById("provisional");
const KEPT = 1000; // events on a page that is left open
const TIMELINE = 5000; // milliseconds between two looks at what takes the whole page
const LONGEST = 30000;

let source = null;
let over = false;
let failures = 0;
let lastLook = 0;
let waiting = null;
let wobbling = null;

function say(state, text, aloud) {
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.hidden = false;
  live.textContent = text;
  if (aloud) speak(text);
}

// --- how long --------------------------------------------------------------------------------------------------

const ahead = Date.now() - Date.parse(main.dataset.now); // of the server's clock
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

function span(seconds) {
  const parts = [];
  for (const [unit, size] of UNITS) {
    if (seconds >= size) parts.push(`${Math.floor(seconds / size)} ${unit}`);
    seconds %= size;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

function sayAges() {
  for (const each of document.querySelectorAll("[data-from]")) {
    each.textContent = span(Math.abs(Date.now() - ahead - Date.parse(each.dataset.from)) / 1000);
  }
}

// --- what is new -----------------------------------------------------------------------------------------------

function append(list, doc) {
  const here = document.getElementById(list);
  for (const each of doc.querySelectorAll(`#${list} > li`)) {
    if (document.getElementById(each.id)) continue;
    each.classList.add("fresh");
    sayTimes(each);
    here.append(each);
    if (list === "talk") document.getElementById("conversation").hidden = false;
  }
}

function drop() { // what is long past is on pages of its own
  while (events.children.length > KEPT && !events.firstElementChild.contains(document.activeElement)) {
    events.firstElementChild.remove();
    const older = document.getElementById("older");
    const to = new URL(older.href);
    to.searchParams.set("before", events.firstElementChild.id.slice(1));
    older.href = to;
    older.parentElement.hidden = false;
  }
}

async function more() {
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
  for (let left = true; left; ) {
    const doc = await load(`${main.dataset.rows}&after=${events.dataset.last}`);
    if (!doc) throw new Error("the rows could not be had");
    const found = doc.getElementById("events");
    append("talk", doc);
    append("events", doc);
    putIn(doc);
    left = Boolean(found.dataset.more) && Number(found.dataset.last) > Number(events.dataset.last);
    if (Number(found.dataset.last)) events.dataset.last = found.dataset.last;
  }
  drop();
  if (provisional.dataset.seq && Number(provisional.dataset.seq) <= Number(events.dataset.last)) unsaid();
  if (atEnd) scrollTo(scrollX, document.documentElement.scrollHeight);
  await timeline();
}

async function news() { // what failed while the connection stands is tried again
  try {
    await more();
  } catch {
    setTimeout(() => refresh(news), 2000);
  }
}

async function timeline() { // the whole page is asked for now and then, and once it is quiet
  clearTimeout(waiting);
  const wait = lastLook + TIMELINE - Date.now();
  if (wait > 0 && !over) {
    waiting = setTimeout(() => refresh(timeline), wait);
    return;
  }
  lastLook = Date.now();
  await renew();
}

async function again(seq) { // an event whose value was erased
  const doc = await load(`${main.dataset.rows}&after=${seq - 1}`);
  for (const list of ["events", "talk"]) {
    for (const now of doc?.querySelectorAll(`#${list} > li`) ?? []) {
      if (list === "events" ? now.id === `e${seq}` : now.id.startsWith(`m${seq}-`)) {
        sayTimes(now);
        document.getElementById(now.id)?.replaceWith(now);
      }
    }
  }
}

// --- what is not recorded yet ----------------------------------------------------------------------------------

function visible(text) { // nothing that hides or turns around what is beside it
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (c) => (c === "\n" || c === "\u200d" || c === "\u200c" ? c : `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`));
}

function unsaid() {
  provisional.hidden = true;
  provisional.lastElementChild.textContent = "";
  delete provisional.dataset.seq;
}

function saying(told) {
  if (!told.text || told.seq <= Number(events.dataset.last)) return unsaid();
  provisional.dataset.seq = told.seq;
  provisional.lastElementChild.textContent = visible(String(told.text));
  provisional.hidden = false;
}

// --- the connection --------------------------------------------------------------------------------------------

function open() {
  if (source || over || document.hidden) return;
  source = new EventSource(`${main.dataset.events}&after=${events.dataset.last}`);
  source.onopen = () => {
    failures = 0;
    steady();
    say("live", "Live", live.dataset.state === "lost");
    refresh(news);
  };
  source.onmessage = (event) => {
    const told = JSON.parse(event.data);
    if (told.kind === "field_erased") again(told.body.seq);
    refresh(news);
  };
  source.addEventListener("provisional", (event) => saying(JSON.parse(event.data)));
  source.addEventListener("problem", (event) => lost(JSON.parse(event.data).detail));
  source.addEventListener("end", ended);
  source.onerror = () => (source.readyState === EventSource.CLOSED ? lost() : wobble());
}

function close() {
  steady();
  source?.close();
  source = null;
}

function wobble() { // it comes again by itself; of a moment nothing is said
  wobbling ??= setTimeout(() => say("lost", "Reconnecting…", true), 2000);
}

function steady() {
  clearTimeout(wobbling);
  wobbling = null;
}

function lost(why) { // it does not come again by itself
  close();
  unsaid();
  say("lost", why ? `Reconnecting… ${visible(why)}` : "Reconnecting…", true);
  failures += 1;
  setTimeout(open, Math.min(LONGEST, 500 * 2 ** failures) * (0.5 + Math.random() / 2));
}

function ended() {
  over = true;
  close();
  unsaid();
  say("ended", "Ended", true);
  refresh(news);
}

setInterval(sayAges, 1000);
if (live && events && main.dataset.events) {
  open();
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open())); // a page that nobody sees
  window.addEventListener("pageshow", (event) => event.persisted && open());
  window.addEventListener("pagehide", close);
}
