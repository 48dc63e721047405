//! Which events of the kernel tell that the content of a file changes, on which file systems, and what their records mark.
use crate::ranges::{END, GRAIN};
use crate::trace_format::{Field, Format};

/// The families of file systems whose events are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    Ext4,
    Xfs,
}

/// Where in a record the range is.
#[derive(Clone, Copy)]
pub enum Span {
    /// number of a page
    Page(&'static str),
    /// offset and length
    Bytes(&'static str, &'static str),
    /// position behind what was written, and how much that was
    Behind(&'static str, &'static str),
    /// first and last block
    Blocks(&'static str, &'static str),
    /// from there to the end of the file
    From(&'static str),
    Whole,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// the page cache has data that the disk has not
    Dirty,
    /// written to the page cache, which may tell so too
    Written,
    /// written past the page cache
    Direct,
    /// the same, about to happen
    DirectBegins,
    /// reshaped, and an event "modified" follows
    Reshaped,
    /// the same, about to happen
    ReshapeBegins,
    /// followed by a `Reshaped` with the range where the file has extents; else the whole file is meant
    TruncateBegins,
}

pub struct Row {
    /// the first that the kernel has is taken
    pub events: &'static [&'static str],
    /// none: of every family
    pub family: Option<Family>,
    pub inode: &'static str,
    pub span: Span,
    pub effect: Effect,
    /// names of flags of which all must be set in a field
    pub flags: Option<(&'static str, &'static [&'static str])>,
}

const fn row(events: &'static [&'static str], family: Option<Family>, span: Span, effect: Effect) -> Row {
    Row { events, family, inode: "ino", span, effect, flags: None }
}

/// Before 5.18 the event was of pages, the second name, and there were no larger units.
pub const DIRTY: Row = row(&["writeback/writeback_dirty_folio", "writeback/writeback_dirty_page"], None, Span::Page("index"), Effect::Dirty);

/// A direct read or write that is over, where the kernel tells it; only of asynchronous ones it tells which.
pub const DIRECT: Row = row(&["iomap/iomap_dio_complete"], None, Span::Behind("pos", "ret"), Effect::Direct);
pub const DIRECT_BEGINS: Row = Row {
    flags: Some(("flags", &["WRITE", "DIRECT"])),
    ..row(&["iomap/iomap_iter", "iomap/iomap_apply"], None, Span::Bytes("pos", "length"), Effect::DirectBegins)
};

const EXT4: Option<Family> = Some(Family::Ext4);
const XFS: Option<Family> = Some(Family::Xfs);
/// Writes to the page cache, the bytes alone; a kernel may do without.
pub const WRITTEN: &[Row] = &[
    row(&["ext4/ext4_da_write_end"], EXT4, Span::Bytes("pos", "copied"), Effect::Written),
    row(&["ext4/ext4_write_end"], EXT4, Span::Bytes("pos", "copied"), Effect::Written),
    // before anything is written
    row(&["xfs/xfs_file_buffered_write"], XFS, Span::Bytes("offset", "count"), Effect::Written),
];

pub const RESHAPING: &[Row] = &[
    row(&["ext4/ext4_truncate_enter"], EXT4, Span::Whole, Effect::TruncateBegins),
    row(&["ext4/ext4_ext_remove_space_done"], EXT4, Span::Blocks("start", "end"), Effect::Reshaped),
    row(&["ext4/ext4_punch_hole"], EXT4, Span::Bytes("offset", "len"), Effect::ReshapeBegins),
    row(&["ext4/ext4_zero_range"], EXT4, Span::Bytes("offset", "len"), Effect::ReshapeBegins),
    row(&["ext4/ext4_collapse_range"], EXT4, Span::From("offset"), Effect::ReshapeBegins),
    row(&["ext4/ext4_insert_range"], EXT4, Span::From("offset"), Effect::ReshapeBegins),
    row(&["xfs/xfs_itruncate_extents_end"], XFS, Span::From("new_size"), Effect::Reshaped),
    row(&["xfs/xfs_free_file_space"], XFS, Span::Whole, Effect::ReshapeBegins),
    row(&["xfs/xfs_zero_file_space"], XFS, Span::Whole, Effect::ReshapeBegins),
    row(&["xfs/xfs_collapse_file_space"], XFS, Span::Whole, Effect::ReshapeBegins),
    row(&["xfs/xfs_insert_file_space"], XFS, Span::Whole, Effect::ReshapeBegins),
    Row { inode: "dest_ino", ..row(&["xfs/xfs_reflink_remap_range"], XFS, Span::Bytes("dest_offset", "len"), Effect::ReshapeBegins) },
];

/// A row, read through the kernel's description of its records.
pub struct Event {
    pub name: &'static str,
    pub id: u16,
    pub effect: Effect,
    pub family: Option<Family>,
    inode: Field,
    first: Option<Field>,
    second: Option<Field>,
    span: Span,
    /// number of the device, or name of the disk
    pub place: Field,
    /// condition on the flags, for the kernel's filter
    pub condition: String,
}

/// What a record says: the inode and the range, in units of blocks where `blocks` is said.
pub struct Said {
    pub inode: u64,
    pub from: u64,
    pub to: u64,
    pub blocks: bool,
}

impl Event {
    /// None where the kernel's event lacks a field.
    pub fn read(row: &Row, name: &'static str, format: &Format) -> Option<Event> {
        let (first, second) = match row.span {
            Span::Page(first) | Span::From(first) => (Some(format.field(first)?), None),
            Span::Bytes(first, second) | Span::Behind(first, second) | Span::Blocks(first, second) => {
                (Some(format.field(first)?), Some(format.field(second)?))
            }
            Span::Whole => (None, None),
        };
        let place = format.field(if row.effect == Effect::Dirty { "name" } else { "dev" })?;
        let mut condition = String::new();
        if let Some((field, names)) = row.flags {
            format.field(field)?;
            for name in names {
                condition.push_str(&format!(" && {field} & {}", format.flag(name)?));
            }
        }
        let inode = format.field(row.inode)?;
        Some(Event { name, id: format.id, effect: row.effect, family: row.family, inode, first, second, span: row.span, place, condition })
    }

    /// @param largest most pages of one folio, a power of two
    pub fn said(&self, record: &[u8], largest: u64) -> Said {
        let number = |field: Option<Field>| field.map_or(0, |field| field.number(record));
        let (first, second) = (number(self.first), number(self.second));
        let (from, to) = match self.span {
            // a folio begins at a multiple of its size
            Span::Page(_) => (first.saturating_mul(GRAIN), first.saturating_add(largest.min(1 << first.trailing_zeros().min(62))).saturating_mul(GRAIN)),
            Span::Bytes(..) => (first, first.saturating_add(second)),
            // a negative answer is an error: nothing, or not known how much, was written
            Span::Behind(..) if (second as i64) < 0 => (0, END),
            Span::Behind(..) => (first.saturating_sub(second), first),
            // the block before the first one may have been cut
            Span::Blocks(..) => (first.saturating_sub(1), if second >= u64::from(u32::MAX) - 1 { END } else { second + 1 }),
            Span::From(_) => (first, END),
            Span::Whole => (0, END),
        };
        Said { inode: self.inode.number(record), from, to, blocks: matches!(self.span, Span::Blocks(..)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(row: &Row, fields: &[(&str, usize, usize)], flags: &str) -> Option<Event> {
        let mut text = String::from("ID: 9\n");
        for (name, offset, size) in fields {
            text.push_str(&format!("\tfield:u64 {name};\toffset:{offset};\tsize:{size};\tsigned:0;\n"));
        }
        text.push_str(&format!("print fmt: {flags}\n"));
        Event::read(row, row.events[0], &Format::parse(&text))
    }

    fn said(event: &Event, numbers: &[u64], largest: u64) -> (u64, u64, u64) {
        let record: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let said = event.said(&record, largest);
        (said.inode, said.from, said.to)
    }

    #[test]
    fn a_page_stands_for_the_largest_folio_that_can_begin_there() {
        let Some(dirty) = event(&DIRTY, &[("name", 24, 8), ("ino", 0, 8), ("index", 8, 8)], "") else { panic!("fields") };
        assert_eq!(said(&dirty, &[5, 3], 512), (5, 3 * GRAIN, 4 * GRAIN));
        assert_eq!(said(&dirty, &[5, 8], 512), (5, 8 * GRAIN, 16 * GRAIN));
        assert_eq!(said(&dirty, &[5, 0], 512), (5, 0, 512 * GRAIN));
        assert_eq!(said(&dirty, &[5, 1024], 512), (5, 1024 * GRAIN, 1536 * GRAIN));
        assert_eq!(said(&dirty, &[5, 8], 1), (5, 8 * GRAIN, 9 * GRAIN));
    }

    #[test]
    fn a_direct_write_is_behind_its_end_and_an_error_is_the_whole_file() {
        let fields = [("dev", 24, 4), ("ino", 0, 8), ("pos", 8, 8), ("ret", 16, 8)];
        let Some(direct) = event(&DIRECT, &fields, "") else { panic!("fields") };
        assert_eq!(said(&direct, &[5, 8192, 4096], 1), (5, 4096, 8192));
        assert_eq!(said(&direct, &[5, 8192, (-5i64) as u64], 1), (5, 0, END));
        assert!(event(&DIRECT, &fields[..3], "").is_none(), "without a field");
    }

    #[test]
    fn the_beginning_of_a_direct_write_is_told_by_two_flags() {
        let fields = [("dev", 24, 4), ("ino", 0, 8), ("pos", 8, 8), ("length", 16, 8), ("flags", 28, 4)];
        let begins = event(&DIRECT_BEGINS, &fields, "{ (1 << 0), \"WRITE\" }, { (1 << 4), \"DIRECT\" }");
        assert_eq!(begins.map(|event| event.condition), Some(" && flags & 1 && flags & 16".into()));
        assert!(event(&DIRECT_BEGINS, &fields, "{ (1 << 0), \"WRITE\" }").is_none(), "without a flag's value");
    }

    #[test]
    fn removed_blocks_reach_one_back_and_to_the_end_when_they_are_the_last() {
        let Some(removed) = event(&RESHAPING[1], &[("dev", 24, 4), ("ino", 0, 8), ("start", 8, 8), ("end", 16, 8)], "") else { panic!("fields") };
        assert_eq!(said(&removed, &[5, 10, 19], 1), (5, 9, 20));
        assert_eq!(said(&removed, &[5, 0, 0xffff_fffe], 1), (5, 0, END));
    }
}
