use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The phases of a run, by name: a bar on a terminal, a line a phase elsewhere; always on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
}

impl Progress {
    pub(crate) fn new(plain: bool, phases: u64) -> Self {
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(phases), target);
        let style = ProgressStyle::with_template("{spinner} {bar:20} {pos} of {len}  {msg}  [{elapsed}]");
        bar.set_style(style.expect("the template is valid"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, plain }
    }

    /// Does a phase's work; its result and its milliseconds.
    pub(crate) fn phase<T, E>(&self, name: &'static str, work: impl FnOnce() -> Result<T, E>) -> Result<(T, f64), E> {
        self.bar.set_message(name);
        let begun = Instant::now();
        let result = work()?;
        let milliseconds = 1e3 * begun.elapsed().as_secs_f64();
        self.bar.inc(1);
        if self.plain {
            eprintln!("{name}: {milliseconds:.0} ms");
        }
        Ok((result, milliseconds))
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
