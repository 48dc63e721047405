//! Files opened with their changed ranges: made clean, then what they hold now.
use crate::background::{Background, background};
use crate::errno::{Errno, Result};
use crate::operation::SIZE_MAX;
use crate::packed_paths::{Parent, paths};
use crate::sys::{next_data, stat, sync_range};
use crate::tree::{TREES, Tree, open_file};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

type Range = (u64, u64);

/// Opens the regular files at the paths and writes the pages of their ranges back, so that a later store is noticed. `ranges` has for each path
/// how many there are, and offset and length of each. Gives numbers in one row, for each path: its descriptor, which is the caller's, to be given
/// back to `close_file`, the size of the file then, how many runs of data lie in the ranges, and offset and length of each; or the negative errno alone.
#[napi]
pub fn open_settled(tree: u32, packed: Buffer, ranges: Vec<f64>) -> AsyncTask<Background<Vec<f64>>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut parent = Parent::default();
        let mut rest = ranges.as_slice();
        let mut opened = Vec::new();
        for path in paths(&packed) {
            let path = path?;
            let ranges = next_ranges(&mut rest).ok_or(Errno(libc::EINVAL))?;
            // all are on their way before the first is waited for
            opened.push(open(&tree, &mut parent, path).map(|file| (sync(file.as_raw_fd(), &ranges, false), file, ranges)));
        }
        parent.close(&tree);
        let mut out = Vec::new();
        for one in opened {
            let before = out.len();
            let settled = one.and_then(|(begun, file, ranges)| {
                out.push(f64::from(file.as_raw_fd()));
                match begun.and_then(|()| settle(file.as_raw_fd(), &ranges, &mut out)) {
                    Ok(()) => Ok(file.into_raw_fd()),
                    Err(errno) => {
                        tree.close(file);
                        Err(errno)
                    }
                }
            });
            if let Err(Errno(errno)) = settled {
                out.truncate(before);
                out.push(f64::from(-errno));
            }
        }
        Ok(out)
    })
}

fn next_ranges(rest: &mut &[f64]) -> Option<Vec<Range>> {
    let (&count, behind) = rest.split_first()?;
    let (these, behind) = behind.split_at_checked(2 * count as usize)?;
    *rest = behind;
    Some(these.as_chunks::<2>().0.iter().map(|[offset, length]| (*offset as u64, *length as u64)).collect())
}

fn open<'a>(tree: &Tree, parent: &mut Parent<'a>, path: &'a [u8]) -> Result<OwnedFd> {
    let (directory, _, name) = parent.of(tree, path)?;
    let (file, found) = open_file(directory, name)?;
    if found.stx_size > SIZE_MAX {
        tree.close(file);
        return Err(Errno(libc::EFBIG));
    }
    Ok(file)
}

fn sync(fd: RawFd, ranges: &[Range], wait: bool) -> Result<()> {
    for (offset, length) in ranges.iter().filter(|(_, length)| *length > 0) {
        sync_range(fd, *offset, *length, wait)?;
    }
    Ok(())
}

fn settle(fd: RawFd, ranges: &[Range], out: &mut Vec<f64>) -> Result<()> {
    sync(fd, ranges, true)?;
    // after the cleaning, which waits for whoever is writing just now: what grew has its size
    let size = stat(fd, b"")?.stx_size;
    out.push(size as f64);
    let count_at = out.len();
    out.push(0.0);
    for &(offset, length) in ranges {
        let end = offset.saturating_add(length).min(size);
        let mut at = offset;
        while at < end {
            let Some((from, to)) = next_data(fd, at, end)? else { break };
            out.extend([from as f64, (to - from) as f64]);
            out[count_at] += 1.0;
            at = to;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    #[test]
    fn data_of_the_ranges_alone_is_told_with_the_size_of_now() {
        let place = std::env::temp_dir().join(format!("landfall-settle-{}", std::process::id()));
        let made = (|| -> std::io::Result<std::fs::File> {
            let mut file = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&place)?;
            file.write_all(&[1; 8192])?;
            file.seek(SeekFrom::Start(1 << 20))?;
            file.write_all(&[2; 5000])?;
            Ok(file)
        })();
        let _ = std::fs::remove_file(&place);
        let Ok(file) = made else { panic!("no temporary file") };
        let size = (1u64 << 20) as f64 + 5000.0;
        let mut found = Vec::new();
        assert_eq!(settle(file.as_raw_fd(), &[(4096, 65536), (1048576, 1 << 40), (1 << 41, 4096)], &mut found), Ok(()));
        assert_eq!(found, [size, 2.0, 4096.0, 4096.0, 1048576.0, 5000.0]);
        found.clear();
        assert_eq!(settle(file.as_raw_fd(), &[], &mut found), Ok(()));
        assert_eq!(found, [size, 0.0]);
    }
}
