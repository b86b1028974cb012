//! Why a target is not reached, by the beginning of the row's name: found out with `perf`, `strace` and by reading, and
//! printed only while the target is missed.

/// The first that fits counts.
pub const REASONS: &[(&str, &str)] = &[
    (
        "overhead p50, 2 MB streamed, in 4 KB",
        "every delta is handed to the writing thread by itself (`library/intake.rs`, `BlobStep::Bytes`): some 680 wake-ups of a \
         thread for pieces of 3 KB; a third of the gateway's time is the kernel switching between the two. Pieces have to be \
         gathered before they are handed over.",
    ),
    (
        "overhead p50",
        "after the last byte, fsync of the file, rename, fsync of the folder and the commit of the row follow one after another \
         (`library/mod.rs`, `save`; `store/files.rs`, `keep`), where the floor has one fdatasync; and writing and SHA-256 share \
         one thread (`store/part.rs`, `write`), which takes longer than the bytes take to arrive.",
    ),
    (
        "pictures of 2 MB",
        "both processors are busy, and the gateway spends twice the floor's time on a picture. SHA-256 is a third of it, and \
         takes the floor itself down to three quarters; what else the gateway does is in the row on processor time.",
    ),
    (
        "processor time per picture",
        "beside SHA-256, which is a third of it: four fsyncs where the floor has one (file, folder, row, state of the \
         thumbnail), some 25 writes to the database's log for the two transactions, and threads that wake each other for every \
         piece (`store/part.rs`) and switch at every fsync.",
    ),
    (
        "added p50 per token",
        "a token passes three tasks (the upstream connection's, the relay's, the client connection's) and two queues, and the \
         tasks are handed between the two worker threads: three futex calls and half a wake-up of the poller for each token, \
         counted with `strace`. The figure grows when the processors are shared.",
    ),
    (
        "tokens, 64 streams at full speed",
        "read directly, tokens that nobody waits for coalesce in the socket, so this compares parsing with copying: the gateway \
         takes each event apart, and writes each with a system call of its own (a third of its time), because `relay/chat.rs`, \
         `perform`, sends the events of one read one by one; another tenth goes to `rewrite/expand.rs`, `references`, which \
         builds its searcher anew for every event.",
    ),
    (
        "GET 200 KB",
        "the file is opened and read on a pool thread, in blocks of 192 KB (`library/outgoing.rs`, `READ_BLOCK`), so that 200 \
         KB cost two trips there: 11 futex calls for each answer, and more than half of the time goes to them and to switching \
         threads, where nginx calls sendfile on an open file.",
    ),
    (
        "GET 2 MB",
        "each block of 192 KB is a trip to a pool thread and back, with a copy into a new buffer (`library/outgoing.rs`), where \
         nginx calls sendfile.",
    ),
    (
        "Range",
        "the file is opened and read on a pool thread (`library/outgoing.rs`, `slice`): the trip there and back costs more than \
         the 64 KB.",
    ),
    (
        "304",
        "a quarter of the time is the look-up in SQLite (`store/images.rs`, `find`, two file locks each), though a row of a \
         picture never changes; the rest is routing, the layers of every answer (`http/headers.rs`: a span, a random id by a \
         system call) and a dozen headers.",
    ),
    (
        "HEAD",
        "a quarter of the time is the look-up in SQLite (`store/images.rs`, `find`, two file locks each), though a row of a \
         picture never changes; the rest is routing, the layers of every answer (`http/headers.rs`: a span, a random id by a \
         system call) and a dozen headers; and it asks the disk whether the file is there.",
    ),
    (
        "anonymous memory, 16",
        "the HTTP client reads up to 408 KB at a time, each read becomes one piece of 306 KB (`rewrite/finder.rs`, `plain`), \
         and up to four of them wait for the disk (`store/part.rs`, `QUEUE`) with one before and one behind: 2 MB for a picture \
         when the disk is behind. Smaller pieces or a queue that counts bytes would bound it.",
    ),
];
