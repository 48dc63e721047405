//! What must be known of a file system before the trace of its pages can be believed.
use crate::errno::{Errno, Result};
use crate::fanotify::Volume;
use crate::trace_events::Family;
use std::os::fd::AsRawFd;

/// A file system of which every change of content is traced.
#[derive(Clone, Debug)]
pub struct Traced {
    pub file_system: u16,
    pub family: Family,
    /// as the kernel numbers it in its records
    pub device: u32,
    /// the disk it is on, as the kernel names it in records of pages
    pub disk: String,
    /// other file systems may be on the same disk: their inode numbers are not told apart
    pub shared_disk: bool,
    pub block_bytes: u64,
    /// most pages of one folio
    pub largest_folio: u64,
}

/// Most pages that a folio has: one entry of the second level of page tables.
const LARGEST_FOLIO: u64 = 512;

/// Type and options of a mount of the device, from /proc/self/mountinfo.
fn mounted<'a>(mountinfo: &'a str, device: &str) -> Option<(&'a str, &'a str)> {
    mountinfo.lines().find_map(|line| {
        let (mount, of) = line.split_once(" - ")?;
        let mut of = of.split(' ');
        (mount.split(' ').nth(2)? == device).then_some((of.next()?, of.nth(1)?))
    })
}

/// The family, or why the content of its files can change without a trace.
fn family(kind: &str, options: &str, by_ext4: bool) -> std::result::Result<Family, &'static str> {
    let family = match kind {
        "ext4" | "ext3" | "ext2" if by_ext4 => Family::Ext4,
        "xfs" => Family::Xfs,
        _ => return Err("no trace of this type of file system is known"),
    };
    for option in options.split(',') {
        match option {
            "data=journal" => return Err("its data goes through its journal"),
            "dax" | "dax=always" => return Err("its data does not go through the page cache"),
            _ => {}
        }
    }
    Ok(family)
}

/// Larger folios than a page came to ext4 with 6.16; vendors bring such changes into older kernels, which their releases tell.
fn has_large_folios(family: Family, release: &str, by_page: bool) -> bool {
    if by_page {
        return false;
    }
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    family == Family::Xfs || version >= (6, 16) || release.contains(".el")
}

fn text(path: &str) -> Result<String> {
    Ok(std::fs::read_to_string(path)?.trim().to_owned())
}

/// Name and number of the disk that the device is, or is a part of.
fn disk_of(device: &str) -> Result<(String, String, bool)> {
    let place = std::fs::canonicalize(format!("/sys/dev/block/{device}"))?;
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !place.join("partition").exists() {
        return Ok((name, device.to_owned(), false));
    }
    let parent = place.parent().ok_or(Errno(libc::ENODEV))?;
    Ok((name, text(&parent.join("dev").to_string_lossy())?, true))
}

/// @param by_page the kernel's event is of pages, not of folios
pub fn traced(volume: &Volume, by_page: bool) -> std::result::Result<Traced, String> {
    // SAFETY: all-zero bytes are a valid statfs, a plain record of numbers.
    let mut sizes: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `sizes` outlives the call.
    if unsafe { libc::fstatfs(volume.root.as_raw_fd(), &raw mut sizes) } != 0 {
        return Err("the size of its blocks is not known".into());
    }
    // its device is one of its own, which no mount and no disk has
    if sizes.f_type == libc::BTRFS_SUPER_MAGIC {
        return Err("changed pages of btrfs are not followed".into());
    }
    let (major, minor) = volume.device;
    let device = format!("{major}:{minor}");
    let mountinfo = text("/proc/self/mountinfo").unwrap_or_default();
    let (kind, options) = mounted(&mountinfo, &device).ok_or("its mount is not found")?;
    let (name, disk, shared_disk) = disk_of(&device).map_err(|_| "its disk is not found")?;
    let by_ext4 = std::path::Path::new("/sys/fs/ext4").join(&name).exists();
    let family = family(kind, options, by_ext4)?;
    let release = text("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Traced {
        file_system: volume.file_system,
        family,
        device: major << 20 | minor,
        disk,
        shared_disk,
        block_bytes: sizes.f_bsize as u64,
        largest_folio: if has_large_folios(family, &release, by_page) { LARGEST_FOLIO } else { 1 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n40 22 7:3 /sub /mnt/a\\040b rw - xfs /dev/loop3 rw,attr2\n";

    #[test]
    fn a_mount_is_found_by_its_device() {
        assert_eq!(mounted(MOUNTS, "254:1"), Some(("ext4", "rw,errors=remount-ro")));
        assert_eq!(mounted(MOUNTS, "7:3"), Some(("xfs", "rw,attr2")));
        assert_eq!(mounted(MOUNTS, "7:4"), None);
    }

    #[test]
    fn only_what_goes_through_the_page_cache_of_a_known_driver_is_believed() {
        assert_eq!(family("ext4", "rw", true), Ok(Family::Ext4));
        assert_eq!(family("ext3", "rw,data=ordered", true), Ok(Family::Ext4));
        assert_eq!(family("xfs", "rw,dax=inode", false), Ok(Family::Xfs));
        for (kind, options, by_ext4) in [("ext2", "rw", false), ("ext4", "rw,data=journal", true), ("xfs", "rw,dax", false), ("btrfs", "rw", false), ("tmpfs", "rw", false)] {
            assert!(family(kind, options, by_ext4).is_err(), "{kind} {options}");
        }
    }

    #[test]
    fn kernels_with_large_folios_are_known_by_their_release() {
        assert!(!has_large_folios(Family::Ext4, "6.1.0-18-amd64", false));
        assert!(has_large_folios(Family::Ext4, "6.18.44", false));
        assert!(has_large_folios(Family::Ext4, "7.0.1", false));
        assert!(has_large_folios(Family::Ext4, "6.12.0-55.el10.x86_64", false));
        assert!(has_large_folios(Family::Xfs, "6.1.0-18-amd64", false));
        assert!(!has_large_folios(Family::Xfs, "5.15.0", true));
    }
}
