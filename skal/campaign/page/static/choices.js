// The classes: buttons with keys where they are few, a list that is searched where they are many.

const FEW = 10;
const SHOWN = 50;

export class Choices {
  constructor(elements, onChoice) {
    Object.assign(this, elements); // list, filter, input
    this.onChoice = onChoice;
    this.classes = [];
    this.recent = [];
    this.marked = 0;
    this.input.addEventListener("input", () => {
      this.marked = 0;
      this.draw();
    });
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-place]");
      if (button) this.choose(Number(button.dataset.place));
    });
  }

  set(classes, isOpen) {
    this.classes = classes;
    this.isOpen = isOpen;
    this.isMany = isOpen || classes.length > FEW;
    this.filter.hidden = !this.isMany;
    this.lower = classes.map((label) => String(label).toLowerCase());
    this.list.setAttribute("role", this.isMany ? "listbox" : "group");
    this.list.classList.toggle("many", this.isMany);
    this.list.classList.toggle("fives", !this.isMany && [5, 9, 10].includes(classes.length));
    this.draw();
  }

  get keys() {
    // A class that is a digit has that key.
    const digits = this.classes.every((label) => /^[0-9]$/.test(String(label)));
    return this.classes.map((label, i) => (digits ? String(label) : i < 9 ? String(i + 1) : i === 9 ? "0" : null));
  }

  get takesDigits() {
    return !this.isMany || (!this.input.value && !this.lower.some((label) => /[0-9]/.test(label)));
  }

  matches() {
    const wanted = this.input.value.trim().toLowerCase();
    if (!wanted) return [...new Set([...this.recent, ...this.classes.slice(0, SHOWN)])].slice(0, SHOWN);
    const exact = [], first = [], inside = [];
    this.lower.forEach((label, i) => {
      const place = label.indexOf(wanted);
      if (label === wanted) exact.push(this.classes[i]);
      else if (place === 0) first.push(this.classes[i]);
      else if (place > 0 && inside.length < SHOWN) inside.push(this.classes[i]);
    });
    const found = [...exact, ...first, ...inside].slice(0, SHOWN);
    if (this.isOpen && !exact.length) found.push(this.input.value.trim());
    return found;
  }

  draw() {
    this.shown = this.isMany ? this.matches() : this.classes;
    this.marked = Math.min(this.marked, Math.max(0, this.shown.length - 1));
    const keys = this.isMany ? this.shown.map((_, i) => (this.takesDigits && i < 9 ? String(i + 1) : null)) : this.keys;
    this.list.replaceChildren(...this.shown.map((label, i) => this.button(label, i, keys[i])));
    if (this.isMany) {
      if (this.shown.length) this.input.setAttribute("aria-activedescendant", `choice-${this.marked}`);
      else this.input.removeAttribute("aria-activedescendant");
      if (!this.shown.length) this.list.append(note(this.input.value ? "No class has this in its name." : "Type the first class."));
    }
  }

  button(label, i, key) {
    const button = document.createElement(this.isMany ? "div" : "button");
    button.dataset.place = i;
    button.className = `choice tone-${this.classes.indexOf(label) % 10}`;
    if (this.isMany) {
      button.id = `choice-${i}`;
      button.setAttribute("role", "option");
      button.setAttribute("aria-selected", i === this.marked);
    } else {
      button.type = "button";
    }
    if (label === this.before) button.classList.add("before");
    if (key !== null && key !== undefined) {
      const hint = document.createElement("kbd");
      hint.textContent = key;
      button.append(hint);
      if (!this.isMany) button.setAttribute("aria-keyshortcuts", key);
    }
    const text = document.createElement("span");
    text.textContent = this.isMany && !this.classes.includes(label) ? `New class: ${label}` : label;
    button.append(text);
    return button;
  }

  // What an item was called before it was undone.
  setBefore(label) {
    this.before = label;
    this.draw();
  }

  choose(place) {
    if (place >= this.shown.length) return;
    const label = this.shown[place];
    if (!this.classes.includes(label)) {
      this.classes.push(label);
      this.lower.push(String(label).toLowerCase());
    }
    if (this.isMany) {
      this.recent = [label, ...this.recent.filter((each) => each !== label)].slice(0, 9);
      this.input.value = "";
      this.marked = 0;
    }
    this.onChoice(label);
    this.draw();
  }

  // Whether a key was one of ours.
  key(event) {
    if (this.takesDigits && /^[0-9]$/.test(event.key)) {
      const place = this.isMany ? Number(event.key) - 1 : this.keys.indexOf(event.key);
      if (place >= 0) this.choose(place);
      return true;
    }
    if (!this.isMany) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.marked = (this.marked + step + this.shown.length) % Math.max(1, this.shown.length);
      this.draw();
      this.list.children[this.marked]?.scrollIntoView({ block: "nearest" });
      return true;
    }
    if (event.key === "Enter") {
      this.choose(this.marked);
      return true;
    }
    if (event.key === "Escape") {
      this.input.value = "";
      this.draw();
      return true;
    }
    return false;
  }
}

function note(text) {
  const element = document.createElement("p");
  element.className = "hint";
  element.textContent = text;
  return element;
}
