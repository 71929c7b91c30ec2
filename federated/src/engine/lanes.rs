use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// As many threads as rayon has, each working on one party at a time.
///
/// What a party's own work would spread over threads stays on the one, as a pool of its own: parties are many, each is
/// timed as if it were alone on a core, and no thread begins the next while it waits for a part of the last.
pub(super) struct Lanes(Vec<ThreadPool>);

impl Lanes {
    /// Lanes for the threads of the current pool.
    ///
    /// # Panics
    /// If the system gives no thread, as rayon's own pool does.
    pub(super) fn new() -> Self {
        let one = |_| ThreadPoolBuilder::new().num_threads(1).build().expect("the system gives a thread");
        Self((0..rayon::current_num_threads()).map(one).collect())
    }

    /// The results of `work` on each job, in the order of the jobs; they are begun in that order too.
    pub(super) fn map<J: Send, R: Send>(&self, jobs: Vec<J>, work: impl Fn(J) -> R + Sync) -> Vec<R> {
        let mut results: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
        let queue = Mutex::new(jobs.into_iter().zip(&mut results));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        thread::scope(|scope| {
            for lane in &self.0 {
                scope.spawn(|| {
                    lane.install(|| {
                        while let Some((job, result)) = next() {
                            *result = Some(work(job));
                        }
                    });
                });
            }
        });
        results.into_iter().map(|result| result.expect("every job was taken by a lane")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_their_jobs_on_any_number_of_lanes() {
        for threads in [1, 2, 5] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let lanes = pool.install(Lanes::new);
            assert_eq!(lanes.0.len(), threads);
            assert_eq!(
                lanes.map((0..100).collect(), |job| job * job),
                (0..100).map(|job| job * job).collect::<Vec<_>>()
            );
            assert!(lanes.map(Vec::<u8>::new(), |job| job).is_empty());
        }
    }

    #[test]
    fn a_job_s_own_parallel_work_stays_on_its_thread() {
        let lanes = Lanes::new();
        assert!(lanes.map(vec![(); 8], |()| rayon::current_num_threads()).iter().all(|&threads| threads == 1));
    }
}
