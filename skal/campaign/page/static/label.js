// The work of an annotator. The next items are in the page before they are asked for, and answers are sent behind it.

import { Choices } from "./choices.js";
import { Outbox } from "./outbox.js";

const AHEAD = 8; // items in the page
const FIRST = 2; // the first ones come at once, while a strategy still thinks
const LOOK = 20_000; // milliseconds between two looks at the server, which keep what is lent to us
const LONGEST_WAIT = 10_000;

const { campaign, annotator, noun } = document.body.dataset;
const find = (id) => document.getElementById(id);
const stage = find("stage");
const outbox = new Outbox(`skal:${campaign}:${annotator}:`);
const choices = new Choices({ list: find("choices"), filter: find("filter"), input: find("wanted") }, answer);

let queue = []; // items ahead: { row, element, guess }
let current = null;
let shownAt = 0;
let history = []; // items of this page that were answered, the last at the end
const refused = new Set(); // rows of which the last word was not recorded
let showsGuesses = recall("guesses") === "yes";
let wants = FIRST;
let isAsking = false;
let asksAgain = false;
let wait = 0;
let timer = null;

function recall(name) {
  try {
    return localStorage.getItem(`skal-page:${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`skal-page:${name}`, value);
  } catch {
    // it is asked again next time
  }
}

// ---- items

function made({ row, html, guess }) {
  const template = document.createElement("template");
  template.innerHTML = html; // of our templates, which escape
  const element = document.createElement("article");
  element.hidden = true;
  element.dataset.row = row;
  element.append(template.content);
  stage.append(element);
  for (const image of element.querySelectorAll("img")) watch(image);
  window.htmx?.process(element);
  return { row, element, guess };
}

function watch(image) {
  image.addEventListener("load", () => {
    if (image.naturalWidth < 200 && image.naturalHeight < 200) image.classList.add("small");
  });
  image.addEventListener("error", () => {
    const broken = document.createElement("p");
    broken.className = "broken";
    broken.textContent = "This image cannot be shown. Skip it, or label it by its name.";
    image.replaceWith(broken);
  });
}

function show(item) {
  if (current !== null) current.element.hidden = true;
  stage.querySelector(".waiting")?.remove();
  current = item;
  find("notes").replaceChildren();
  if (item === null) {
    say("Looking for something to label …");
  } else {
    item.element.hidden = false;
    stage.scrollTop = 0;
    shownAt = performance.now();
    performance.mark("shown");
  }
  showGuess();
  if (choices.isMany) find("wanted").focus({ preventScroll: true });
  choices.setBefore(item?.before);
}

function say(text) {
  const waiting = document.createElement("p");
  waiting.className = "waiting";
  waiting.textContent = text;
  stage.querySelector(".waiting")?.remove();
  stage.append(waiting);
}

function showGuess() {
  const guess = showsGuesses && current !== null ? current.guess : null;
  find("guess").hidden = !showsGuesses || current === null;
  if (guess === null || guess === undefined) {
    find("guess").textContent = "The model has no guess about this one.";
  } else {
    const sure = guess.confidence === null ? "" : ` (${Math.round(100 * guess.confidence)} % sure)`;
    find("guess").textContent = `The model thinks: ${guess.label}${sure}`;
  }
  find("guesses").setAttribute("aria-pressed", showsGuesses);
}

function tell(text, kind = "note") {
  const note = document.createElement("p");
  note.className = kind;
  note.textContent = text;
  find("notes").replaceChildren(note);
}

// ---- verbs

function done(op, words) {
  if (current === null) return;
  const item = current;
  outbox.add({ ...op, row: item.row, seconds: Math.round(performance.now() - shownAt) / 1000 });
  item.before = op.label;
  history.push(item);
  if (history.length > 200) history.shift().element.remove();
  find("spoken").textContent = `${words} Next ${noun}.`;
  show(queue.shift() ?? null);
  sync();
}

function answer(label) {
  done({ kind: "answer", label }, `Labelled ${label}.`);
}

function skip() {
  done({ kind: "skip" }, "Skipped.");
}

async function undo() {
  let item = history.pop();
  if (item === undefined) item = await before();
  if (item === undefined) return;
  outbox.add({ kind: "undo", row: item.row });
  if (current !== null) queue.unshift(current);
  queue = queue.filter((each) => each.row !== item.row);
  find("spoken").textContent = "Undone.";
  show(item);
  sync();
}

// What was said before the page was loaded.
async function before() {
  for (let turn = 0; turn < 30 && outbox.ops.length; turn++) {
    sync();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  if (outbox.ops.length) {
    tell("There is no connection: what was said before this page was loaded cannot be undone now.");
    return undefined;
  }
  try {
    const response = await fetch(`/last?annotator=${encodeURIComponent(annotator)}`);
    const last = await response.json();
    if (last === null) {
      tell("There is nothing to undo.");
      return undefined;
    }
    if (current?.row === last.row) return undefined;
    return { ...made(last), before: last.label };
  } catch {
    tell("There is no connection: try again.");
    return undefined;
  }
}

function toggleGuesses() {
  showsGuesses = !showsGuesses;
  remember("guesses", showsGuesses ? "yes" : "no");
  showGuess();
  sync();
}

// ---- the server

async function sync() {
  if (isAsking) {
    asksAgain = true;
    return;
  }
  isAsking = true;
  clearTimeout(timer);
  do {
    asksAgain = false;
    await exchange();
  } while (asksAgain && wait === 0);
  isAsking = false;
  timer = setTimeout(sync, wait || (current === null ? 3000 : LOOK));
}

async function exchange() {
  const ops = outbox.ops.slice(0, 100);
  const body = { campaign, annotator, ops, n: wants, current: current?.row ?? null, guesses: showsGuesses };
  let told;
  try {
    const response = await fetch("/sync", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    if (response.status === 403) return failed("Open the page again, by the link in the terminal.");
    told = await response.json().catch(() => ({ error: response.statusText }));
    if (!response.ok) return failed(told.error);
  } catch {
    return failed("No connection.");
  }
  wait = 0;
  outbox.remove(told.done);
  for (const { id, row } of ops) if (told.done.includes(id)) refused.delete(row);
  for (const { id, reason } of told.refused) {
    refused.add(ops.find((op) => op.id === id)?.row);
    tell(`Not recorded: ${reason}`, "problem");
  }
  if (told.trouble !== null) return failed(told.trouble);
  take(told.rows);
  if (told.others.length && current?.row === body.current) {
    tell(`${told.others.join(", ")} has answered this one meanwhile. Your answer counts too, or go on with →.`);
  }
  if (told.done.length) document.body.dispatchEvent(new Event("saved"));
  if (wants < AHEAD && told.rows.length) {
    wants = AHEAD;
    asksAgain = true;
  } else if (outbox.ops.length) {
    asksAgain = true;
  }
  status();
}

// The server says what is ours, in its order; what is on the screen stays there.
function take(rows) {
  const unsent = new Map(outbox.ops.map((op) => [op.row, op.kind]));
  const isDone = (row) => unsent.get(row) === "answer" || unsent.get(row) === "skip";
  const known = new Map(queue.map((item) => [item.row, item]));
  const next = [];
  for (const each of rows) {
    if (each.row === current?.row) {
      current.guess = each.guess;
      continue;
    }
    if (isDone(each.row)) continue;
    const item = known.get(each.row) ?? made(each);
    item.guess = each.guess;
    known.delete(each.row);
    next.push(item);
  }
  for (const item of known.values()) if (!history.includes(item)) item.element.remove();
  queue = next;
  if (current === null && queue.length) show(queue.shift());
  else if (current === null && !outbox.ops.length) say("Nothing is left to label for you now. Thank you!");
  showGuess();
}

function failed(reason) {
  wait = Math.min(LONGEST_WAIT, 2 * wait || 500);
  status(reason);
}

function status(problem) {
  const n = outbox.ops.length;
  const saved = find("saved");
  saved.classList.toggle("problem", problem !== undefined || refused.size > 0);
  const kept = n ? ` ${n} ${n === 1 ? "answer is" : "answers are"} kept here until then.` : "";
  const left = `${refused.size} ${refused.size === 1 ? "answer was" : "answers were"} not recorded.`;
  const calm = refused.size ? left : "All saved"; // the note with the reason goes when the next item comes
  const text = problem !== undefined ? `${problem}${kept}` : n ? `Saving ${n} …` : calm;
  if (saved.textContent !== text) saved.textContent = text;
}

// ---- keys

const KEYS = { ArrowRight: skip, ArrowLeft: undo, Backspace: undo };
const LETTERS = { s: skip, u: undo, p: toggleGuesses, "?": openHelp };

function openHelp() {
  const keys = [
    [choices.isMany ? "letters" : "1 – 9, 0", choices.isMany ? "find a class" : "the class with that key"],
    ...(choices.isMany ? [["↑ ↓ Enter", "choose from the list"]] : []),
    [choices.isMany ? "→" : "→ or S", "skip"],
    [choices.isMany ? "←" : "← or U", "undo, again and again"],
    [choices.isMany ? "Alt P" : "P", "what the model thinks"],
  ];
  const entries = keys.flatMap(([key, meaning]) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = key;
    text.textContent = meaning;
    return [term, text];
  });
  find("keys").replaceChildren(...entries);
  find("help").showModal();
}

document.addEventListener("keydown", (event) => {
  if (find("help").open || event.isComposing) return;
  const isTyping = event.target === find("wanted");
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !find("wanted").value) {
      event.preventDefault();
      undo();
    } else if (event.altKey && event.code === "KeyP") {
      event.preventDefault();
      toggleGuesses();
    }
    return;
  }
  if (event.repeat && !isTyping) {
    event.preventDefault(); // one press, one answer
    return;
  }
  if (event.target.closest?.("button, a, summary") && (event.key === "Enter" || event.key === " ")) return;
  if (choices.key(event)) {
    event.preventDefault();
    return;
  }
  const verb = KEYS[event.key];
  const isEditing = isTyping && (find("wanted").value || event.key === "Backspace");
  if (verb !== undefined && !isEditing) {
    event.preventDefault();
    if (!event.repeat) verb();
    return;
  }
  if (choices.isMany) {
    if (!isTyping && event.key.length === 1) find("wanted").focus(); // the letter goes there
    return;
  }
  const other = LETTERS[event.key.toLowerCase()];
  if (other !== undefined) {
    event.preventDefault();
    other();
  }
});

// ---- the beginning

find("undo").addEventListener("click", undo);
find("skip").addEventListener("click", skip);
find("guesses").addEventListener("click", toggleGuesses);
find("help-open").addEventListener("click", openHelp);
addEventListener("online", sync);
document.addEventListener("visibilitychange", () => document.hidden || sync());
addEventListener("beforeunload", (event) => {
  if (outbox.held.size) event.preventDefault(); // they would be lost
});
if (matchMedia("(max-width: 60rem)").matches) find("side").open = false;

async function start() {
  try {
    const response = await fetch("/classes");
    const { classes, is_open: isOpen } = await response.json();
    choices.set(classes, isOpen);
  } catch {
    failed("No connection.");
    setTimeout(start, wait);
    return;
  }
  showGuess();
  sync();
}

start();
