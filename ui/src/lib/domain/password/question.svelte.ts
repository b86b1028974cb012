// Asks for the password once more before something that a borrowed session must not do, and does it. From anywhere:
// `const done = await withPassword({…}, (password) => call(…))`; PasswordArea shows it, one at a time.

export type PasswordQuestion = {
  /** What is about to happen. */
  title: string;
  /** What that means, a line each. */
  facts?: string[];
  /** The name of the button: the verb and its object. */
  verb: string;
  /** Whether it destroys something. */
  danger?: boolean;
  /** A sentence that must be ticked first: for what cannot be undone in any way. */
  tick?: string;
};

type Act = (password: string) => Promise<void>;

class Asking {
  question = $state.raw<PasswordQuestion | null>(null);
  #act: Act | null = null;
  #end: (() => void) | null = null;

  ask(question: PasswordQuestion, act: Act): Promise<void> {
    this.end();
    this.question = question;
    this.#act = act;
    return new Promise((resolve) => (this.#end = resolve));
  }

  /** Tries it with this password. What it throws is shown, and the question stays. */
  async try(password: string): Promise<void> {
    await this.#act?.(password);
    this.end();
  }

  end(): void {
    const end = this.#end;
    [this.question, this.#act, this.#end] = [null, null, null];
    end?.();
  }
}

export const asking = new Asking();

/** What `act` answered, or null if the person changed their mind. */
export async function withPassword<T>(
  question: PasswordQuestion,
  act: (password: string) => Promise<T>,
): Promise<T | null> {
  let answer: T | null = null;
  await asking.ask(question, async (password) => {
    answer = await act(password);
  });
  return answer;
}
