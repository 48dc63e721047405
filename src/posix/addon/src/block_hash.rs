//! BLAKE3 of each block of some data, many blocks at once. A block of 4 KiB alone is four chunks, which fill half of the lanes of a processor
//! with AVX2 and a quarter with AVX-512; the same chunk of eight blocks fills them. The hashes are those of `blake3::hash`: the tree of a
//! block of four chunks is written out here (section 2 of the BLAKE3 paper). The crate's `platform` is not documented; its version is pinned.
use blake3::IncrementCounter;
use blake3::platform::Platform;

/// What is kept of a hash.
const HASH_BYTES: usize = 16;
const BLOCK: usize = 4096;
const CHUNK: usize = 1024;
const CHUNKS: usize = BLOCK / CHUNK;
/// of one call: as many as the widest registers have
const LANES: usize = 16;
const CV: usize = 32;

const IV: [u32; 8] = [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;

/// Chaining values of one node of each block.
type Values = [[u8; CV]; LANES];

/// Appends the hash of each block of `data`, the last of which may be shorter.
pub fn hash_each(data: &[u8], block: usize, out: &mut Vec<u8>) {
    let mut rest = data;
    if block == BLOCK {
        let platform = Platform::detect();
        let (blocks, tail) = data.as_chunks::<BLOCK>();
        for group in blocks.chunks(LANES) {
            hash_group(platform, group, out);
        }
        rest = tail;
    }
    for chunk in rest.chunks(block) {
        out.extend_from_slice(&blake3::hash(chunk).as_bytes()[..HASH_BYTES]);
    }
}

fn hash_group(platform: Platform, blocks: &[[u8; BLOCK]], out: &mut Vec<u8>) {
    let mut chunks = [[[0; CV]; LANES]; CHUNKS];
    for (index, values) in chunks.iter_mut().enumerate() {
        let mut inputs = [&[0; CHUNK]; LANES];
        for (input, block) in inputs.iter_mut().zip(blocks) {
            *input = &block.as_chunks::<CHUNK>().0[index];
        }
        platform.hash_many(&inputs[..blocks.len()], &IV, index as u64, IncrementCounter::No, 0, CHUNK_START, CHUNK_END, values.as_flattened_mut());
    }
    let [a, b, c, d] = &chunks;
    let left = parents(platform, [a, b], blocks.len(), PARENT);
    let right = parents(platform, [c, d], blocks.len(), PARENT);
    for root in &parents(platform, [&left, &right], blocks.len(), PARENT | ROOT)[..blocks.len()] {
        out.extend_from_slice(&root[..HASH_BYTES]);
    }
}

fn parents(platform: Platform, [left, right]: [&Values; 2], count: usize, flags: u8) -> Values {
    let mut nodes = [[0; 2 * CV]; LANES];
    for (node, (left, right)) in nodes.iter_mut().zip(left.iter().zip(right)) {
        node[..CV].copy_from_slice(left);
        node[CV..].copy_from_slice(right);
    }
    let mut values = [[0; CV]; LANES];
    platform.hash_many(&nodes.each_ref()[..count], &IV, 0, IncrementCounter::No, flags, 0, 0, values.as_flattened_mut());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hash_as_they_do_one_by_one() {
        let mut state = 1u64;
        let mut data = vec![0u8; 40 * BLOCK];
        data.iter_mut().for_each(|byte| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        });
        for block in [1000, BLOCK, 2 * BLOCK] {
            for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 8 * BLOCK, 15 * BLOCK + 7, 16 * BLOCK, 17 * BLOCK, 40 * BLOCK - 1, 40 * BLOCK] {
                let mut all = Vec::new();
                hash_each(&data[..length], block, &mut all);
                let each: Vec<u8> = data[..length].chunks(block).flat_map(|chunk| blake3::hash(chunk).as_bytes()[..HASH_BYTES].to_vec()).collect();
                assert_eq!(all, each, "{length} bytes in blocks of {block}");
            }
        }
    }
}
