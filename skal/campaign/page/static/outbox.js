// Operations that the server has not written down yet. They outlive a reload, a crash of the browser and of the server.

export class Outbox {
  constructor(prefix) {
    this.prefix = prefix;
    this.held = new Map(); // where the browser keeps nothing, such as in a private window
    this.last = 0;
  }

  add(op) {
    this.last = Math.max(Date.now(), this.last + 1, ...this.ops.map((each) => parseInt(each.id, 36) + 1));
    const tail = Math.random().toString(36).slice(2, 10);
    op.id = `${this.last.toString(36).padStart(9, "0")}-${tail}`; // in the order of time
    try {
      localStorage.setItem(this.prefix + op.id, JSON.stringify(op));
    } catch {
      this.held.set(op.id, op);
    }
    return op;
  }

  get ops() {
    const found = [...this.held.values()];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        const isOurs = key.startsWith(this.prefix) && !key.slice(this.prefix.length).includes(":");
        if (isOurs) found.push(JSON.parse(localStorage.getItem(key))); // "team:" begins what "team:anna:" keeps, too
      }
    } catch {
      // nothing is kept then
    }
    return found.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  remove(ids) {
    for (const id of ids) {
      this.held.delete(id);
      try {
        localStorage.removeItem(this.prefix + id);
      } catch {
        // nothing was kept
      }
    }
  }
}
