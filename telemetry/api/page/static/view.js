// What the reader chose, kept in the part of the URL behind #, so that the address is the view.

/** The choices of the address, over those of `usual`. */
export function choices(usual) {
  return { ...usual, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
}

/** Put choices into the address; those that are usual are left out. */
export function choose(chosen, usual) {
  const unusual = Object.entries(chosen).filter(([name, value]) => value && value !== usual[name]);
  const hash = new URLSearchParams(unusual).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
}

/**
 * The choices of a form, kept in the address. Fields of `local` narrow what is shown already: `draw` is called at each key.
 * Any other field asks something else: `ask` is called once it is left, and whenever the address changes.
 */
export class Choices {
  constructor(form, usual, { local = [], draw, ask }) {
    Object.assign(this, { form, usual, local });
    this.chosen = choices(usual);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => {
      if (!local.includes(target.name)) return;
      this.#take();
      draw();
    });
    form.addEventListener("change", ({ target }) => {
      if (local.includes(target.name)) return;
      this.#take();
      ask();
    });
    addEventListener("hashchange", () => {
      this.chosen = choices(usual);
      this.show();
      ask();
    });
  }

  /** Show the choices in the form; a field that the reader is in stays as it is. */
  show() {
    for (const [name, value] of Object.entries(this.chosen)) {
      const field = this.form[name];
      if (field && field !== document.activeElement) field.value = value;
    }
  }

  /** What is asked for, as text: an answer to another question than this is out of date. */
  question() {
    return JSON.stringify(Object.entries(this.chosen).filter(([name]) => !this.local.includes(name)));
  }

  #take() {
    this.chosen = { ...this.chosen, ...Object.fromEntries(new FormData(this.form)) };
    choose(this.chosen, this.usual);
  }
}
