// Does work anew when there is news, however much news there is.

// anew makes a function that has work done soon: not before the last time has ended, and
// not more often than every gap ms. Its stop ends that.
export function anew(work, gap = 700) {
  let timer = 0;
  let running = false;
  let wanted = false;
  let ended = 0;
  let stopped = false;
  const soon = () => {
    if (stopped || timer) return;
    if (running) {
      wanted = true;
      return;
    }
    timer = setTimeout(run, Math.max(150, ended + gap - performance.now()));
  };
  const run = async () => {
    timer = 0;
    running = true;
    wanted = false;
    try {
      await work();
    } finally {
      running = false;
      ended = performance.now();
      if (wanted) soon();
    }
  };
  soon.stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  return soon;
}
