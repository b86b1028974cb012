//! Failures of commands in the language of the terminal. Their English is what the errors say of themselves; here stands
//! their Chinese. What a system or a server said is passed on as it is.

use super::words::chinese;
use crate::{
    account::{AccountError, USERNAME_MAX},
    archive::ArchiveError,
    cloud,
    config::ConfigProblem,
    import::ImportError,
    library::{LibraryError, RebuildError},
    providers::ProviderError,
    server::{OfflineError, StartError},
    store::{DbError, FolderError, SecretsError},
};

/// What stands before what mends it.
const REMEDY: &str = "\n  解决办法：";

fn in_words(error: &impl std::fmt::Display, zh: impl FnOnce() -> Option<String>) -> String {
    chinese().then(zh).flatten().unwrap_or_else(|| error.to_string())
}

/// Why the configuration cannot be used.
pub fn config(problem: &ConfigProblem) -> String {
    let ConfigProblem { name, problem: what, remedy } = problem;
    in_words(problem, || Some(format!("{name}：{}{REMEDY}{}", what.told(true), remedy.told(true))))
}

/// Why the gateway does not start.
pub fn start(error: &StartError) -> String {
    in_words(error, || match error {
        StartError::Folder(error) => Some(folder(error)),
        StartError::Db(error) => Some(db(error)),
        StartError::Secrets(error) => Some(secrets(error)),
        StartError::Account(error) => Some(format!("无法创建管理员账户：{}", account(error))),
        StartError::Listen { address, source, .. } => {
            let remedy = match source.kind() {
                std::io::ErrorKind::AddrNotAvailable => "用 --host 或 HOST 选择这台电脑的地址",
                std::io::ErrorKind::PermissionDenied => "用 --port 或 PORT 选择 1023 以上的端口",
                _ => "用 --host 和 --port 换一个地址",
            };
            Some(format!("无法监听 {address}：{source}{REMEDY}{remedy}"))
        }
        StartError::PortInUse(taken) => {
            let port = taken.address.port();
            let what = if taken.is_picgate { "另一个 PicGate " } else { "另一个程序" };
            let who = taken.holder.as_ref().map_or_else(String::new, |holder| format!("：{}（进程 {}）", holder.name, holder.pid));
            let remedy = match taken.next_free {
                Some(free) => format!("停止那个程序，或用 --port（或 PORT）换一个端口，例如 {free}；旧对话里的链接仍然指向端口 {port}"),
                None => "停止那个程序，或用 --port（或 PORT）换一个端口".to_owned(),
            };
            Some(format!("端口 {port} 被{what}占用{who}{REMEDY}{remedy}"))
        }
        StartError::Files(source) => Some(format!("无法使用图片文件夹：{source}")),
        StartError::Provider(ProviderError::Db(error)) => Some(db(error)),
        StartError::Provider(ProviderError::Secrets(error)) => Some(secrets(error)),
        StartError::Provider(ProviderError::Upstream { name, source }) => Some(format!("上游“{name}”无法使用：{}", source.said(true))),
        StartError::Fetcher(_) => Some("无法下载其他网站的图片：HTTPS 客户端无法建立".to_owned()),
    })
}

fn account(error: &AccountError) -> String {
    in_words(error, || {
        Some(match error {
            AccountError::AlreadySetUp => "已经有账户了".to_owned(),
            AccountError::NotSetUp => "还没有账户".to_owned(),
            AccountError::WrongTicket => "一次性口令无效".to_owned(),
            AccountError::WrongCredentials => "用户名或密码不对".to_owned(),
            AccountError::PasswordNeeded => "需要再输入一次密码".to_owned(),
            AccountError::TooMany(_) => "尝试次数太多".to_owned(),
            AccountError::BadUsername => format!("用户名必须有 1 到 {USERNAME_MAX} 个字符，不含控制字符"),
            AccountError::BadPassword(problem) => problem.told(true).to_owned(),
            AccountError::Db(error) => db(error),
            AccountError::Hash => "无法处理密码".to_owned(),
        })
    })
}

fn library(error: &LibraryError) -> String {
    in_words(error, || {
        Some(match error {
            LibraryError::Disk(source) => format!("无法保存图片：{source}"),
            LibraryError::Db(error) => db(error),
        })
    })
}

fn folder(error: &FolderError) -> String {
    in_words(error, || {
        Some(match error {
            FolderError::NotWritable { path, source, remedy } => {
                let path = path.display();
                let remedy = match error.chown() {
                    Some(chown) => format!("以管理员身份执行：{chown}"),
                    None if source.kind() == std::io::ErrorKind::StorageFull => "腾出磁盘空间，或用 --data-dir 换一个文件夹".to_owned(),
                    None if cfg!(unix) => "检查磁盘，或用 --data-dir 换一个文件夹".to_owned(),
                    None => remedy.clone(),
                };
                format!("无法写入数据文件夹 {path}：{source}{REMEDY}{remedy}")
            }
            FolderError::InUse(root) => {
                format!("{} 已有另一个 PicGate 在运行；先停止它，或用 --data-dir 给这一个另选文件夹", root.display())
            }
            FolderError::Unfinished { root, unfinished, remedy } => {
                format!("恢复到 {} 没有完成（{} 还在）{REMEDY}{remedy}", root.display(), unfinished.display())
            }
            FolderError::NotOurs { files, expected } => format!(
                "{} 里不是这个数据库的图片（标记缺失或不同）{REMEDY}把正确的文件夹挂载或移到那里；如果确认就用现在这个，把 {expected} 写入 {}",
                files.display(),
                files.join("install-id").display()
            ),
        })
    })
}

fn db(error: &DbError) -> String {
    in_words(error, || match error {
        DbError::Newer { path, found, known, backups } => Some(format!(
            "数据库 {} 由更新版本的 PicGate 写入（结构 {found}，本版本支持 {known}）；请安装那个版本，或恢复 {} 中的备份",
            path.display(),
            backups.display()
        )),
        DbError::Python(path) => Some(format!("{} 是 Python 版的数据库，不会被修改", path.display())),
        DbError::NotOurs { path, why } => Some(format!("{} 不是完好的 PicGate 数据库：{why}", path.display())),
        DbError::Migration(_) => Some(format!("无法升级数据库：{error}")),
        DbError::Sqlite(source) => Some(format!("数据库出错：{source}")),
        _ => None,
    })
}

/// Why the file of keys cannot be used.
pub fn secrets(error: &SecretsError) -> String {
    in_words(error, || {
        Some(match error {
            SecretsError::Io { path, source } => format!("无法使用密钥文件 {}：{source}", path.display()),
            SecretsError::InKeychain => {
                format!(
                    "这个数据文件夹的密钥在系统钥匙串里，只有桌面应用能读取{REMEDY}启动桌面应用，或先在它的设置里关闭“把密钥放进系统钥匙串”"
                )
            }
            SecretsError::Keychain { problem } => {
                format!("无法使用系统钥匙串：{problem}{REMEDY}解锁钥匙串后重新启动；数据文件夹没有改动")
            }
            SecretsError::Damaged { path, source } => {
                format!("密钥文件 {} 已损坏（{source}）；请恢复它，或将其移走以生成新的网关密钥", path.display())
            }
        })
    })
}

/// Why there is no backup, or nothing restored from one.
pub fn archive(error: &ArchiveError) -> String {
    in_words(error, || match error {
        ArchiveError::Io { path, source, .. } => Some(format!("无法读写 {}：{source}", path.display())),
        ArchiveError::Stream(source) => Some(format!("无法读写备份：{source}")),
        ArchiveError::Db(error) => Some(db(error)),
        ArchiveError::Secrets(error) => Some(secrets(error)),
        ArchiveError::Folder(error) => Some(folder(error)),
        ArchiveError::Exists(path) => Some(format!("{} 已存在；请换一个文件名，或用 --force 覆盖", path.display())),
        ArchiveError::Nothing(path) => Some(format!("{} 没有数据库；请用 --data-dir 指定数据文件夹", path.display())),
        ArchiveError::NotEmpty { path, holds } => Some(format!(
            "{} 不是空的：里面有 {holds}{REMEDY}用 --data-dir 换一个文件夹，或加上 --replace，原来的内容会移到一旁保留",
            path.display()
        )),
        ArchiveError::NotOurs(why) => Some(format!("这不是 PicGate 的备份：{why}")),
        ArchiveError::Newer { program, found, known, .. } => {
            Some(format!("这个备份由更新版本的 PicGate 写成（{program}：{found}，本版本支持 {known}）；请用那个版本恢复"))
        }
        ArchiveError::Damaged(why) => Some(format!("备份已损坏：{why}；没有恢复任何内容")),
        ArchiveError::WeakPassphrase => Some("口令太短".to_owned()),
        ArchiveError::WrongPassphrase => Some("口令不对，或备份被改动过；没有恢复任何内容".to_owned()),
        ArchiveError::Seal(why) => Some(format!("无法加密密钥：{why}")),
        ArchiveError::Cancelled => Some("没有完成就结束了；没有留下任何内容".to_owned()),
    })
}

/// Why work on a folder without a gateway ended.
pub fn offline(error: &OfflineError) -> String {
    in_words(error, || match error {
        OfflineError::Start(error) => Some(start(error)),
        OfflineError::Db(error) => Some(db(error)),
        OfflineError::NoBucket => Some(format!(
            "没有设置存储桶{REMEDY}设置 PICGATE_R2_ACCOUNT_ID（或 PICGATE_S3_ENDPOINT）、PICGATE_R2_ACCESS_KEY_ID、\
             PICGATE_R2_SECRET_ACCESS_KEY 和 PICGATE_R2_BUCKET"
        )),
        OfflineError::Import(error) => Some(import(error)),
        OfflineError::Rebuild(RebuildError::Bucket(error)) => Some(format!("无法使用存储桶：{}", cloud::explain(error, true))),
        OfflineError::Rebuild(RebuildError::Library(error)) => Some(library(error)),
    })
}

/// Why nothing was taken over.
pub fn import(error: &ImportError) -> String {
    in_words(error, || match error {
        ImportError::Nothing(path) => Some(format!("{} 里没有 Python 版 PicGate 的数据：需要有 db/picgate.db", path.display())),
        ImportError::Db(error) => Some(db(error)),
        ImportError::Secrets(error) => Some(secrets(error)),
        ImportError::Broken(why) => Some(format!("接管中断了：{why}")),
        ImportError::Library(error) => Some(library(error)),
    })
}
