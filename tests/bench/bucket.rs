//! The S3 server of this benchmark: s3s-fs over a folder, as a process of its own.

use std::path::PathBuf;

use hyper_util::rt::TokioIo;

use crate::children::ready;

pub const KEY_ID: &str = "AKID";
pub const SECRET: &str = "benchmark-secret";
pub const NAME: &str = "pictures";

/// Serves for as long as the parent lives.
pub fn run(folder: PathBuf) {
    std::fs::create_dir_all(folder.join(NAME)).expect("makes the bucket");
    let mut builder = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(&folder).expect("a file system"));
    builder.set_auth(s3s::auth::SimpleAuth::from_single(KEY_ID, SECRET));
    let service = builder.build();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    ready(&listener);
    listener.set_nonblocking(true).expect("does not block");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("listens");
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let service = service.clone();
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
}
