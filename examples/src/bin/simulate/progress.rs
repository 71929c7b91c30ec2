use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nexus_federated::protect::Phase;
use nexus_federated::run::{Observer, RoundRecord};

/// A bar on a terminal, a line a round elsewhere; always on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
}

impl Progress {
    pub(crate) fn new(plain: bool) -> Self {
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:30} round {pos} of {len}  {msg}  [{elapsed}, {eta} left]");
        bar.set_style(style.expect("the template is valid"));
        Self { bar, plain }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn begun(&mut self, done: u32, rounds: u32) {
        self.bar.set_length(rounds.into());
        self.bar.set_position(done.into());
        self.bar.enable_steady_tick(Duration::from_millis(200));
        if self.plain && done > 0 {
            eprintln!("resuming after round {done} of {rounds}");
        }
    }

    fn entered(&mut self, _: nexus_federated::Round, phase: Phase) {
        self.bar.set_message(phase.name());
    }

    fn round(&mut self, record: &RoundRecord) {
        self.bar.inc(1);
        if self.plain {
            let epsilon = record.epsilon.map_or_else(String::new, |epsilon| format!(", epsilon {epsilon:.3}"));
            let outcome = record.report.aborted.as_ref().map_or_else(String::new, |why| format!(", aborted: {why}"));
            eprintln!(
                "{}: accuracy {:.1} %{epsilon}, {} clients in the sum, {} left{outcome}",
                record.report.round,
                100.0 * record.accuracy,
                record.report.contributors.len(),
                record.report.left.len(),
            );
        }
    }
}
