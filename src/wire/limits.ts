/**
 * What a peer may send, in one table. Everything is checked on receipt, before memory is taken or work is done for it; what is over a limit is
 * FRAME_INVALID and ends the connection, unless the table says otherwise.
 *
 *   what                                      limit                     where it is checked
 *   body of a frame, by its type              MAX_BODY_BYTES            frame.ts, as soon as the header is there
 *   the same when it was packed               MAX_BODY_BYTES            frame_body.rs unpacks into so much and no more
 *   frames that come in parts                 one at a time             frame.rs
 *   bytes that nobody has taken yet           DATA_, CONTROL_WINDOW     inbox.ts (windows in credit.ts)
 *   batch of operations                       4 MiB                     operation-codec.ts, operation.rs
 *   operations in a batch                     MAX_BATCH_OPERATIONS      operation-codec.ts, operation.rs
 *   path, name, symlink target                4094, 255, 1 to 4095 B    rel-path.ts, operation-codec.ts, operation.rs, listing-codec.ts
 *   value of an extended attribute            64 KiB                    metadata-codec.ts, operation.rs
 *   attributes of one object: all, names      1 MiB, MAX_XATTR_NAMES    metadata-codec.ts, operation.rs
 *   offset, size, end of a range              below 2^53                byte-reader.ts, operation.rs
 *   listing page                              4 MiB                     listing-codec.ts
 *   directories in a list request             1024                      message-codec.ts
 *   bytes and blocks that a hash may ask for  MAX_HASHED_               message-codec.ts, source_file.rs
 *   lists and hashes under way                2 x MAX_OPEN_REQUESTS     source/replica-answers.ts
 *   pages ahead of the agent                  LIST_WINDOW_BYTES         source/replica-answers.ts waits
 *   names of a directory held for a listing   64 MiB a tree             listing.rs reads it in several passes
 *   operations waiting to be applied          MAX_QUEUED_BYTES          source/operation-intake.ts waits
 *   failures waiting to be acknowledged       MAX_WAITING_FAILURES      replication/acknowledgement.ts: the applier waits
 *   text in a greeting                        MAX_GREETING_TEXT         messages.ts
 *   text in a finding                         MAX_FINDING_TEXT          messages.ts
 *   values in a control message               MAX_CONTROL_VALUES        message-codec.ts
 *   differences in a message                  MAX_DIFFERENCES           messages.ts; aspects, ranges, texts: domain/verification.ts
 *   differences that are not written yet      one message               source/link-source-server.ts waits for the report
 *   findings that a job keeps                 1000, 1 MiB               job/collect-findings.ts drops what is over it; they are counted
 *   reports of progress                       one every 100 ms          source/paced-reports.ts joins them
 *   strangers, time for handshake, greeting   256, 10 s, 10 s           source/source-listener.ts
 */

/** A batch of the usual 1 MiB holds 52,000 of the smallest operations that a source sends; bounds what the answers about them cost. */
export const MAX_BATCH_OPERATIONS = 131_072
/**
 * Data in one `write`: whole blocks, and with its path and a page of alignment not above 4 MiB, which is what a batch may have, and because memory
 * for it comes in powers of two. A quarter of it took a quarter longer (npm run bench -- mirror --works large): each costs both ends JavaScript.
 */
export const MAX_PIECE_BYTES = 4 * 1024 * 1024 - 16 * 1024
/** What listxattr(2) can give, each name with its NUL. */
export const MAX_XATTR_NAMES_BYTES = 65_536
/** Largest block of a hash request. */
export const MAX_HASH_BLOCK_BYTES = 1024 * 1024
/** What one hash request may cover: seconds of work, so that a job that is stopped need not wait for more. */
export const MAX_HASHED_BYTES = 256 * 1024 * 1024
/** Versions, epochs and ids. */
export const MAX_GREETING_TEXT = 256
/** A path of 4094 bytes is shown with four characters for each, and may be there twice. */
export const MAX_FINDING_TEXT = 40_000
/** Values in the JSON of a control message: findings of 256 KiB have 19,000, the description of a large server fewer. Checking one that is wrong takes 10 us. */
export const MAX_CONTROL_VALUES = 40_000
