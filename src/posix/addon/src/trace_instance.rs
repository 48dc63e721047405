//! An instance of the kernel's tracing that is ours alone: buffers, events and filters that nobody else sees or is disturbed by. tracefs is
//! used through a mount that has no place in the tree of files where it is not mounted anyway. The instance goes with its owner, and those
//! of dead owners are removed when the next one begins.
use crate::errno::{Errno, Result, check, owned};
use crate::trace_format::Format;
use crate::trace_page::PageLayout;
use std::ffi::{CStr, CString};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "landfall-";
/// Of all processors together; each gets its share.
const BUFFERS_KIB: usize = 32 * 1024;
const MOST_KIB: usize = 8 * 1024;
const LEAST_KIB: usize = 512;
const MAX_PAGE_BYTES: usize = 1 << 20;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// What was tried in vain, and why.
pub struct Refusal {
    pub what: &'static str,
    pub errno: Errno,
}

fn refused<T>(what: &'static str, answer: Result<T>) -> std::result::Result<T, Refusal> {
    answer.map_err(|errno| Refusal { what, errno })
}

pub struct Instance {
    instances: OwnedFd,
    directory: OwnedFd,
    name: CString,
    /// one for each processor
    pipes: Vec<OwnedFd>,
    pub layout: PageLayout,
    pub page_bytes: usize,
}

fn open_at(directory: RawFd, path: &CStr, flags: i32) -> Result<OwnedFd> {
    // SAFETY: `path` ends in NUL and outlives the call.
    owned(unsafe { libc::openat(directory, path.as_ptr(), flags | libc::O_CLOEXEC) })
}

fn open_path(directory: RawFd, path: &str, flags: i32) -> Result<OwnedFd> {
    open_at(directory, &CString::new(path).map_err(|_| Errno(libc::EINVAL))?, flags)
}

/// The mounted tracefs, or a mount of it that is nowhere to be seen.
fn tracefs() -> Result<OwnedFd> {
    if let Ok(mounted) = open_at(libc::AT_FDCWD, c"/sys/kernel/tracing", libc::O_RDONLY | libc::O_DIRECTORY)
        && open_at(mounted.as_raw_fd(), c"instances", libc::O_PATH | libc::O_DIRECTORY).is_ok()
    {
        return Ok(mounted);
    }
    // SAFETY: the name ends in NUL and outlives the call.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"tracefs".as_ptr(), 1) })?;
    let (key, value): (*const libc::c_char, *const libc::c_char) = (std::ptr::null(), std::ptr::null());
    // SAFETY: this command takes no key and no value.
    let made = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, key, value, 0) };
    check(i32::try_from(made).map_err(|_| Errno(libc::EIO))?)?;
    // SAFETY: takes numbers.
    let mount = owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0) })?;
    open_at(mount.as_raw_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY)
}

/// When a process began, in ticks since the boot: with its number it names it for good.
fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name in brackets may hold anything
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether the process that an instance is named after is gone. An instance in use refuses its removal besides.
fn is_stale(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let mut numbers = rest.split('-').map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(start))) = (numbers.next(), numbers.next()) else { return false };
    u32::try_from(pid).ok().and_then(began) != Some(start)
}

fn sweep(instances: &OwnedFd) {
    let Ok(names) = std::fs::read_dir(format!("/proc/self/fd/{}", instances.as_raw_fd())) else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_stale(name)) {
        if let Ok(name) = CString::new(name) {
            // SAFETY: `name` ends in NUL and outlives the call.
            unsafe { libc::unlinkat(instances.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) };
        }
    }
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Instance {
    /// A new instance that records nothing yet. `buffer_kib`: of each processor, instead of what is good.
    pub fn open(buffer_kib: Option<usize>) -> std::result::Result<Instance, Refusal> {
        let root = refused("mount tracefs", tracefs())?;
        let instances = refused("open the instances of tracefs", open_at(root.as_raw_fd(), c"instances", libc::O_RDONLY | libc::O_DIRECTORY))?;
        sweep(&instances);
        let pid = std::process::id();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("{PREFIX}{pid}-{}-{number}", began(pid).unwrap_or_default())).unwrap_or_default();
        // SAFETY: `name` ends in NUL and outlives the call.
        refused("make a tracing instance", check(unsafe { libc::mkdirat(instances.as_raw_fd(), name.as_ptr(), 0o700) }))?;
        let directory = refused("open the tracing instance", open_at(instances.as_raw_fd(), &name, libc::O_RDONLY | libc::O_DIRECTORY));
        let directory = match directory {
            Ok(directory) => directory,
            Err(refusal) => {
                remove(&instances, &name);
                return Err(refusal);
            }
        };
        let page_bytes = 4096;
        let layout = read_at(root.as_raw_fd(), "events/header_page").and_then(|text| PageLayout::parse(&text).ok_or(Errno(libc::EPROTO)));
        let layout = match refused("read the layout of trace pages", layout) {
            Ok(layout) => layout,
            Err(refusal) => {
                remove(&instances, &name);
                return Err(refusal);
            }
        };
        // from here on dropping it removes it
        let mut instance = Instance { instances, directory, name, pipes: Vec::new(), layout, page_bytes };
        refused("set the tracing instance up", instance.set_up(buffer_kib))?;
        Ok(instance)
    }

    fn set_up(&mut self, buffer_kib: Option<usize>) -> Result<()> {
        self.write("tracing_on", "0")?;
        let cpus: Vec<String> = std::fs::read_dir(format!("/proc/self/fd/{}/per_cpu", self.directory.as_raw_fd()))
            .map_err(Errno::from)?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let share = || (BUFFERS_KIB / cpus.len().max(1)).clamp(LEAST_KIB, MOST_KIB);
        self.write("buffer_size_kb", &buffer_kib.unwrap_or_else(share).to_string())?;
        // the newest records stay, and a page tells that older ones were lost
        self.write("options/overwrite", "1")?;
        // what older kernels lack of these only costs a little
        for (option, value) in [("options/irq-info", "0"), ("options/record-cmd", "0"), ("options/markers", "0"), ("buffer_percent", "25")] {
            let _ = self.write(option, value);
        }
        if let Ok(kib) = self.read("buffer_subbuf_size_kb") {
            self.page_bytes = kib.trim().parse::<usize>().unwrap_or(4).saturating_mul(1024).clamp(4096, MAX_PAGE_BYTES);
        }
        for cpu in cpus {
            self.pipes.push(open_path(self.directory.as_raw_fd(), &format!("per_cpu/{cpu}/trace_pipe_raw"), libc::O_RDONLY | libc::O_NONBLOCK)?);
        }
        if self.pipes.is_empty() { Err(Errno(libc::ENOENT)) } else { Ok(()) }
    }

    pub fn write(&self, path: &str, value: &str) -> Result<()> {
        let mut file = std::fs::File::from(open_path(self.directory.as_raw_fd(), path, libc::O_WRONLY)?);
        file.write_all(value.as_bytes()).map_err(Errno::from)
    }

    pub fn read(&self, path: &str) -> Result<String> {
        read_at(self.directory.as_raw_fd(), path)
    }

    /// How the kernel lays the records of an event out. ENOENT: it has no such event.
    pub fn format(&self, event: &str) -> Result<Format> {
        self.read(&format!("events/{event}/format")).map(|text| Format::parse(&text))
    }

    /// The event is recorded from now on, where the filter lets it through.
    pub fn enable(&self, event: &str, filter: &str) -> Result<()> {
        self.write(&format!("events/{event}/filter"), filter)?;
        self.write(&format!("events/{event}/enable"), "1")
    }

    pub fn record(&self, on: bool) -> Result<()> {
        self.write("tracing_on", if on { "1" } else { "0" })
    }

    pub fn pipes(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.pipes.iter().map(AsRawFd::as_raw_fd)
    }

    /// Gives the records that the buffers hold, of one processor (its index) after the other. False when some were lost, or make no sense.
    pub fn drain(&self, page: &mut [u8], mut each: impl FnMut(usize, &[u8])) -> Result<bool> {
        let mut whole = true;
        for (processor, pipe) in self.pipes().enumerate() {
            loop {
                // SAFETY: the buffer has that many bytes and is borrowed for the call alone.
                let got = unsafe { libc::read(pipe, page.as_mut_ptr().cast(), self.page_bytes.min(page.len())) };
                match got {
                    0 => break,
                    1.. => whole &= self.layout.records(&page[..got as usize], |record| each(processor, record)),
                    _ => match Errno::last().0 {
                        libc::EAGAIN => break,
                        libc::EINTR => {}
                        errno => return Err(Errno(errno)),
                    },
                }
            }
        }
        Ok(whole)
    }
}

fn read_at(directory: RawFd, path: &str) -> Result<String> {
    let mut file = std::fs::File::from(open_path(directory, path, libc::O_RDONLY)?);
    let mut text = Vec::new();
    // some of these files give what a first large read takes, and then nothing more
    let mut part = vec![0; 64 * 1024];
    loop {
        match file.read(&mut part) {
            Ok(0) => return String::from_utf8(text).map_err(|_| Errno(libc::EPROTO)),
            Ok(got) => text.extend_from_slice(&part[..got]),
            Err(error) => return Err(error.into()),
        }
    }
}

fn remove(instances: &OwnedFd, name: &CStr) {
    // SAFETY: `name` ends in NUL and outlives the call.
    unsafe { libc::unlinkat(instances.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) };
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.record(false);
        // open buffers keep it
        self.pipes.clear();
        remove(&self.instances, &self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_instances_of_processes_that_are_gone_are_stale() {
        let pid = std::process::id();
        let start = began(pid).unwrap_or_default();
        assert!(start > 0);
        assert!(!is_stale(&format!("landfall-{pid}-{start}-0")));
        assert!(is_stale(&format!("landfall-{pid}-{}-0", start + 1)), "its number was given to another");
        assert!(is_stale("landfall-4294967294-5-0"));
        for foreign in ["other", "landfall-", "landfall-a-1", "landfall-1", "landfall"] {
            assert!(!is_stale(foreign), "{foreign}");
        }
    }
}
