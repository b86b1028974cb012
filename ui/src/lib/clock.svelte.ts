// One clock for everything that shows how long ago something was: it ticks only while somebody looks at it.
import { createSubscriber } from 'svelte/reactivity';

function ticking(every: number) {
  const subscribe = createSubscriber((update) => {
    const timer = setInterval(update, every);
    return () => clearInterval(timer);
  });
  return () => {
    subscribe();
    return Date.now();
  };
}

const second = ticking(1_000);
const quarter = ticking(15_000);

export const clock = {
  /** Now, renewed every second: for what is running. */
  get second() {
    return second();
  },
  /** Now, renewed every 15 s: for what is over. */
  get now() {
    return quarter();
  },
};
