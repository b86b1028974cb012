// Asks before something is lost. `if (await confirm({…})) …` from anywhere; ConfirmArea shows it, one at a time.

export type Question = {
  /** What is about to happen: "删除 12 张图片?" */
  title: string;
  /** What will be lost, how many, how large; and what stays. */
  body: string;
  /** Further facts, each a line. */
  facts?: string[];
  /** The name of the button: the verb and its object, "删除 12 张图片". */
  verb: string;
  /** The name of the other button, where "cancel" would not say what happens then. */
  cancel?: string;
  /** Whether it destroys something. */
  danger?: boolean;
  /** A sentence that must be ticked first: for what cannot be undone in any way. */
  tick?: string;
};

class Asking {
  question = $state.raw<Question | null>(null);
  #answer: ((yes: boolean) => void) | null = null;

  ask(question: Question): Promise<boolean> {
    this.answer(false);
    this.question = question;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(yes: boolean): void {
    const answer = this.#answer;
    this.#answer = null;
    this.question = null;
    answer?.(yes);
  }
}

export const asking = new Asking();
export const confirm = (question: Question) => asking.ask(question);
