//! Batches that only make new things, as a first mirror's do, are applied by two threads: each takes directories of its own. Nothing that was
//! there is touched by them: what meets an existing name, or fails in any way, is left, with all of its directory behind it, to be applied
//! in order afterwards.
use crate::mutex::lock;
use crate::operate::Writing;
use crate::operation::{Body, Operation};
use crate::tree::{Tree, split};
use std::collections::{HashMap, HashSet};

/// Less is not worth waking a thread.
const OPERATIONS_MIN: usize = 32;
/// What an operation costs beside its data, in bytes of data.
const WEIGHT: usize = 8 * 1024;
/// Batches that are applied in order after one of which something was left.
const PAUSE: u32 = 16;

/// Which operations belong together, by position, and which of these a second thread takes.
struct Plan {
    parts: Vec<usize>,
    second: Vec<bool>,
}

/// Directories that have to do with each other, by number.
#[derive(Default)]
struct Parts(Vec<usize>);

impl Parts {
    fn of(&mut self, mut one: usize) -> usize {
        while self.0[one] != one {
            self.0[one] = self.0[self.0[one]];
            one = self.0[one];
        }
        one
    }
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}

fn is_making(operation: &Operation) -> bool {
    match &operation.body {
        Body::File { complete, .. } => *complete,
        Body::Directory(_) | Body::Symlink { .. } | Body::Node { .. } => !operation.path.is_empty(),
        _ => false,
    }
}

fn weight(operation: &Operation) -> usize {
    let data = match &operation.body {
        Body::File { extents, .. } => extents.iter().map(|extent| extent.data.len()).sum(),
        _ => 0,
    };
    WEIGHT + data
}

/// None when the batch is to be applied in order: there is little of it, it does more than make things, or all of it hangs together.
fn plan(operations: &[Operation]) -> Option<Plan> {
    if operations.len() < OPERATIONS_MIN {
        return None;
    }
    // the directories in which something is made, and all above them
    let mut number: HashMap<&[u8], usize> = HashMap::new();
    let mut above: HashSet<&[u8]> = HashSet::new();
    let mut parts = Parts::default();
    let mut of = Vec::with_capacity(operations.len());
    let mut last: Option<(&[u8], usize)> = None;
    for operation in operations.iter() {
        let making = is_making(operation);
        if !making && !matches!(operation.body, Body::Metadata(_)) {
            return None;
        }
        let parent = if making { split(operation.path).0 } else { operation.path };
        let known = last.filter(|(path, _)| *path == parent).map(|(_, known)| known).or_else(|| number.get(parent).copied());
        // the metadata of a directory comes behind what is made in it
        let one = if making || known.is_some() { known.unwrap_or(parts.0.len()) } else { return None };
        if known.is_none() {
            parts.0.push(one);
            number.insert(parent, one);
            let mut rest = parent;
            while !rest.is_empty() {
                rest = split(rest).0;
                above.insert(rest);
            }
        }
        last = Some((parent, one));
        of.push(one);
    }
    for (operation, &one) in operations.iter().zip(&of) {
        let making = is_making(operation);
        let other = if making { operation.path } else { split(operation.path).0 };
        match number.get(other) {
            Some(&other) => parts.join(one, other),
            // something far below of what is made here
            None if making && above.contains(other) => return None,
            None => {}
        }
    }
    let of: Vec<usize> = of.into_iter().map(|one| parts.of(one)).collect();
    let mut weights = vec![0; parts.0.len()];
    operations.iter().zip(&of).for_each(|(operation, &part)| weights[part] += weight(operation));
    let half = weights.iter().sum::<usize>() / 2;
    let mut taken = 0;
    let second: Vec<bool> = weights.iter().map(|weight| {
        taken += weight;
        // the part in which the half is reached belongs to the side that has less without it
        *weight > 0 && taken - weight / 2 > half
    }).collect();
    let both = of.iter().any(|&part| second[part]) && of.iter().any(|&part| !second[part]);
    both.then_some(Plan { parts: of, second })
}

/// Applies one thread's operations; answers the positions of those that are left.
fn half(writing: &mut Writing, tree: &Tree, operations: &[Operation], plan: &Plan, second: bool) -> Vec<usize> {
    let mut left = Vec::new();
    let mut stopped = vec![false; plan.second.len()];
    writing.only_new = true;
    for (at, operation) in operations.iter().enumerate() {
        let part = plan.parts[at];
        if plan.second[part] != second {
            continue;
        }
        stopped[part] = stopped[part] || writing.operate(tree, operation).is_err();
        if stopped[part] {
            left.push(at);
        }
    }
    writing.only_new = false;
    writing.newborn = None;
    left
}

/// Applies what can be applied by two threads; answers the positions of what is left, in order. None when nothing was done.
pub fn apply(writing: &mut Writing, tree: &Tree, operations: &[Operation]) -> Option<Vec<usize>> {
    if writing.pause > 0 {
        writing.pause -= 1;
        return None;
    }
    let plan = plan(operations)?;
    let mut other = lock(&tree.second);
    // its directories may have been moved or replaced since it was used last
    *other = Writing::default();
    let helper = &mut *other;
    let mut left = std::thread::scope(|scope| {
        let second = std::thread::Builder::new().spawn_scoped(scope, || half(helper, tree, operations, &plan, true));
        let mut left = half(writing, tree, operations, &plan, false);
        match second {
            Ok(second) => left.extend(second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            // no thread to be had: all of it is left
            Err(_) => left.extend((0..operations.len()).filter(|&at| plan.second[plan.parts[at]])),
        }
        left
    });
    writing.written += other.written;
    for (operation, &part) in operations.iter().zip(&plan.parts) {
        if plan.second[part] && matches!(operation.body, Body::Directory(_)) {
            // what was held under this name is not what is there now
            writing.directories.forget(operation.path);
        }
    }
    // holds no directory open until the next batch
    *other = Writing::default();
    left.sort_unstable();
    if !left.is_empty() {
        writing.pause = PAUSE;
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::operation::{Body, Extent, Metadata, Operation};

    fn metadata() -> Metadata<'static> {
        Metadata { mode: 0o644, uid: 0, gid: 0, flags: 0, project: 0, mtime: (0, 0), atime: (0, 0), xattrs: Vec::new() }
    }
    fn file(path: &str) -> Operation<'_> {
        let extents = vec![Extent { offset: 0, data: b"data" }];
        Operation { kind: 2, path: path.as_bytes(), body: Body::File { size: 4, complete: true, metadata: metadata(), extents } }
    }
    fn directory(path: &str) -> Operation<'_> {
        Operation { kind: 1, path: path.as_bytes(), body: Body::Directory(metadata()) }
    }
    fn settle(path: &str) -> Operation<'_> {
        Operation { kind: 11, path: path.as_bytes(), body: Body::Metadata(metadata()) }
    }
    /// Twenty files in each of two directories, and `more`.
    fn halves(more: Vec<Operation<'static>>) -> Option<Vec<bool>> {
        let operations: Vec<_> = [vec!["a/f"; 20], vec!["b/f"; 20]].concat().into_iter().map(file).chain(more).collect();
        plan(&operations).map(|plan| plan.parts.iter().map(|&part| plan.second[part]).collect())
    }

    #[test]
    fn directories_that_have_nothing_to_do_with_each_other_are_halves() {
        let halves = halves(vec![settle("a"), settle("b")]);
        let expected: Vec<bool> = [vec![false; 20], vec![true; 20], vec![false, true]].concat();
        assert_eq!(halves, Some(expected));
    }

    #[test]
    fn what_is_made_stays_together_with_what_is_made_in_it() {
        assert_eq!(halves(vec![directory("b")]).map(|h| h[40] == h[20]), Some(true));
        assert_eq!(halves(vec![directory("a"), directory("b")]), None, "both hang on the directory above");
        assert_eq!(halves(vec![file("b/f/below")]).map(|h| h[40] == h[20]), Some(true));
    }

    #[test]
    fn what_does_more_than_make_things_is_applied_in_order() {
        assert!(halves(vec![Operation { kind: 10, path: b"a/g", body: Body::Remove }]).is_none());
        assert!(halves(vec![Operation { kind: 8, path: b"b/l", body: Body::Link { existing: b"a/f" } }]).is_none());
        assert!(halves(vec![settle("a/f")]).is_none(), "the metadata of what may be a file");
        assert!(halves(vec![file("c"), file("c/d/e")]).is_none(), "something far below");
        assert!(plan(&[file("a/f"), file("b/f")]).is_none(), "too little");
    }
}
