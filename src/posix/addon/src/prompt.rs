//! Threads that run as soon as they are wanted, however far back the agent stands: those that empty what the kernel has recorded. Little is to be
//! done in them, and the longer a queue of fanotify is, the more each event costs whoever makes it: the kernel looks through it for one to join it
//! to (untar on one processor that the agent shares: 14 % of tar's time, hardly anything when the queue is read at once).
use std::marker::PhantomData;

/// The least of sched(7)'s real-time priorities.
const PRIORITY: libc::c_int = 1;

/// While it lives, the thread that made it goes before all that have no real-time priority. Not where that is not allowed, which is no failure.
pub struct Prompt {
    /// the policy that the thread had
    before: libc::c_int,
    of_one_thread: PhantomData<*const ()>,
}

impl Prompt {
    pub fn begin() -> Prompt {
        // SAFETY: takes a number; 0 is the calling thread.
        let before = unsafe { libc::sched_getscheduler(0) };
        set(libc::SCHED_FIFO, PRIORITY);
        Prompt { before, of_one_thread: PhantomData }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        // its nice value is still there; a thread that was prompt before goes on as it was
        if matches!(self.before, libc::SCHED_OTHER | libc::SCHED_BATCH | libc::SCHED_IDLE) {
            set(self.before, 0);
        }
    }
}

fn set(policy: libc::c_int, priority: libc::c_int) {
    // SAFETY: all-zero bytes are a valid sched_param, a plain record of numbers.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: `parameters` outlives the call; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> libc::c_int {
        // SAFETY: takes a number; 0 is the calling thread.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn a_thread_is_prompt_only_as_long_as_it_is_wanted() {
        std::thread::spawn(|| {
            // SAFETY: take numbers; 0 is the calling thread.
            let (may, nice) = unsafe { (libc::geteuid() == 0, libc::setpriority(libc::PRIO_PROCESS, 0, 7)) };
            assert_eq!(nice, 0);
            let outer = Prompt::begin();
            if may {
                assert_eq!(policy(), libc::SCHED_FIFO);
            }
            drop(Prompt::begin());
            assert_eq!(policy(), if may { libc::SCHED_FIFO } else { libc::SCHED_OTHER }, "whoever was prompt before stays so");
            drop(outer);
            // SAFETY: takes numbers; 0 is the calling thread.
            let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
            assert_eq!((policy(), nice), (libc::SCHED_OTHER, 7));
        })
        .join()
        .unwrap();
    }
}
