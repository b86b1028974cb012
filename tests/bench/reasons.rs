//! Why a target is not reached, by the beginning of the row's name: found out with `perf`, `strace` and by reading, and
//! printed only while the target is missed.

/// The first that fits counts.
pub const REASONS: &[(&str, &str)] = &[
    (
        "backlog of",
        "both sides, the S3 server and the admin's questions share two processors, and the gateway does what the plain program \
         leaves out: the file is read and digested before it is sent, its row is taken and noted, and the log has a line for it.",
    ),
    (
        "anonymous memory while it drains",
        "pages and statements of five database connections, buffers of four uploads, and what the allocator keeps for the \
         threads that read files.",
    ),
    (
        "overhead p50, 2 MB streamed, in 4 KB",
        "a delta of 4 KB is an event of its own: framing, scanning and closing it costs more than its base64.",
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
        "beside SHA-256, which is a third of it: three fsyncs where the floor has one (file, folder, row), the writes to the \
         database's log, and threads that wake each other for pieces (`store/part.rs`) and switch at every fsync.",
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
         takes each event apart and puts it together again (`rewrite/stream.rs`), some 15 microseconds each.",
    ),
    (
        "GET 200 KB",
        "the file is opened, read into a new buffer and copied to the socket for every answer (`store/files.rs`, `read_cached`), \
         where nginx calls sendfile on a file that it keeps open.",
    ),
    (
        "GET 2 MB",
        "each block is a trip to a pool thread and back, with a copy into a new buffer (`library/outgoing.rs`), where nginx calls \
         sendfile.",
    ),
    (
        "Range",
        "the file is opened and read into a new buffer for every answer (`store/files.rs`, `read_cached`), where nginx calls \
         sendfile on a file that it keeps open.",
    ),
    ("304", "routing, a span for every request (`http/headers.rs`) and a dozen headers that are put together anew for each answer."),
    (
        "HEAD",
        "routing, a span for every request (`http/headers.rs`), a dozen headers that are put together anew for each answer, and \
         a look whether the file is there.",
    ),
    (
        "anonymous memory, 16",
        "the HTTP client reads up to 408 KB at a time (hyper's default, which reqwest does not let us set), and pieces of 48 KB \
         wait for the disk behind it (`store/part.rs`, `QUEUE`); the rest is what the allocator keeps for the sixteen threads \
         that write.",
    ),
];
