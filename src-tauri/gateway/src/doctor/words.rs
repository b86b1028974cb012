//! What the doctor says: one entry for each thing that can be found, in Chinese and in English, with what mends it. Values
//! stand in braces.

use super::{Finding, State};

/// A part: its key, and its name.
type Part = (&'static str, &'static str, &'static str);

/// Something that can be found.
struct Entry {
    code: &'static str,
    check: &'static str,
    state: State,
    /// Chinese, English.
    text: [&'static str; 2],
    /// Empty where nothing needs to be mended.
    remedy: [&'static str; 2],
}

const PARTS: &[Part] = &[
    ("configuration", "配置", "Configuration"),
    ("folder", "数据文件夹", "Data folder"),
    ("drive", "存放位置", "Place"),
    ("disk", "磁盘空间", "Disk space"),
    ("keys", "密钥文件", "Keys"),
    ("database", "数据库", "Database"),
    ("admin", "管理员", "Admin"),
    ("clock", "时钟", "Clock"),
    ("gateway", "网关", "Gateway"),
    ("here", "本机访问", "From this computer"),
    ("lan", "局域网访问", "From the network"),
    ("docker", "Docker 访问", "From Docker"),
    ("public", "链接地址", "Address of links"),
    ("upstream", "上游", "Upstream"),
    ("bucket", "云存储", "Bucket"),
];

const fn entry(code: &'static str, check: &'static str, state: State, text: [&'static str; 2], remedy: [&'static str; 2]) -> Entry {
    Entry { code, check, state, text, remedy }
}

const NONE: [&str; 2] = ["", ""];

use State::{Failed, Note, Ok, Warning};

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    entry("config_ok", "configuration", Ok, ["参数和环境变量有效", "flags and environment are valid"], NONE),
    entry("config_note", "configuration", Note, ["{note}", "{note}"], NONE),
    entry("config_problem", "configuration", Failed, ["{name}：{problem}", "{name}: {problem}"], ["{remedy}", "{remedy}"]),
    entry("setting_unusable", "configuration", Warning,
        ["设置 {key} 的值无法使用（{problem}），正在使用默认值", "the stored setting {key} cannot be used ({problem}); the default holds"],
        ["在设置页面重新填写 {key}", "set {key} again on the settings page"]),

    entry("folder_ok", "folder", Ok, ["{path} 可以写入", "{path} can be written"], NONE),
    entry("folder_new", "folder", Note, ["{path} 尚不存在，首次启动时会创建", "{path} does not exist yet; the first start makes it"], NONE),
    entry("folder_not_writable", "folder", Failed, ["无法写入 {path}：{error}", "{path} cannot be written: {error}"], ["{remedy}", "{remedy}"]),
    entry("folder_container", "folder", Failed, ["无法写入 {path}：{error}", "{path} cannot be written: {error}"],
        ["在宿主机上执行一次（把“卷”换成卷名或挂载的文件夹）：docker run --rm -v 卷:{folder} busybox {chown}",
         "run once on the host, with the volume's name or the mounted folder for VOLUME: docker run --rm -v VOLUME:{folder} busybox {chown}"]),
    entry("folder_other_mark", "folder", Failed,
        ["{path} 不是这个数据库对应的图片文件夹（标记缺失或不同）", "{path} does not hold the images that the database belongs to (its mark is missing or another)"],
        ["挂载或移回正确的文件夹；若确认无误，把 {expected} 写入 {path}/install-id", "mount or move the right folder there; to accept it as it is, put {expected} into {path}/install-id"]),

    entry("drive_network", "drive", Warning,
        ["{path} 位于网络文件系统（{kind}）上，SQLite 数据库可能因此损坏", "{path} is on a file system over the network ({kind}), where SQLite databases can be damaged"],
        ["把数据文件夹放在本机磁盘上；若只是图片太多，可用 IMAGES_DIR 只把图片放到网络盘", "keep the data folder on a disk of this computer; if only the pictures are too many, put those alone there with IMAGES_DIR"]),
    entry("drive_synced", "drive", Warning,
        ["{path} 位于 {kind} 的同步文件夹中，写入时被同步可能损坏数据库", "{path} is in a folder that {kind} keeps in sync; copying it while it is written can damage the database"],
        ["用 --data-dir 把数据文件夹移到同步文件夹之外；备份请用 picgate backup 或存储桶", "move the data folder out of it with --data-dir; for backups there are picgate backup and the bucket"]),

    entry("disk_ok", "disk", Ok, ["剩余 {free}，共 {total}", "{free} of {total} are free"], NONE),
    entry("disk_unknown", "disk", Note, ["此系统不提供剩余空间信息", "this system does not say how much is free"], NONE),
    entry("disk_low", "disk", Warning, ["只剩 {free}（共 {total}）", "only {free} of {total} are free"],
        ["腾出空间，或设置缓存上限并启用存储桶", "make room, or set a bucket and a cap on the cache"]),
    entry("disk_full", "disk", Failed, ["磁盘几乎已满：只剩 {free}（共 {total}），新图片可能无法保存", "the disk is nearly full: {free} of {total} are free, and new pictures may find no room"],
        ["立即腾出空间；启用存储桶后可在缓存页面清理本地副本", "make room now; with a bucket, local copies can be cleared on the cache page"]),

    entry("keys_ok", "keys", Ok, ["可以读取，且只有本账户可读", "readable, and by this account alone"], NONE),
    entry("keys_none", "keys", Note, ["还没有密钥，首次启动时会生成", "there are no keys yet; the first start makes one"], NONE),
    entry("keys_open", "keys", Warning, ["其他账户也能读取 {path}", "other accounts may read {path}"], ["执行：chmod 600 {path}", "run: chmod 600 {path}"]),
    entry("keys_unreadable", "keys", Failed, ["无法读取 {path}：{error}", "{path} cannot be read: {error}"],
        ["用运行网关的账户执行本命令；若网关自己也读不到，检查文件的权限", "run this as the account that runs the gateway; if the gateway cannot read it either, check the file's permissions"]),
    entry("keys_damaged", "keys", Failed, ["{error}", "{error}"],
        ["从备份恢复 {path}，或将其移走以生成新的网关密钥（上游和存储桶的密钥需重新填写）", "restore {path} from a backup, or move it away to have a new gateway key made (keys of upstreams and bucket must then be entered again)"]),

    entry("db_ok", "database", Ok, ["完好，共 {images} 张图片", "sound, with {images} images"], NONE),
    entry("db_none", "database", Note, ["还没有数据库，首次启动时会创建", "there is no database yet; the first start makes it"], NONE),
    entry("db_slow", "database", Warning, ["数据库很大，{seconds} 秒内没有检查完", "the database is too large to be checked within {seconds} seconds"],
        ["若怀疑损坏，停止网关后用 sqlite3 执行 pragma quick_check", "if you suspect damage, stop the gateway and run sqlite3's pragma quick_check"]),
    entry("db_older", "database", Note, ["结构版本 {found}，下次启动时升级到 {known}（会先备份）", "its form is version {found}; the next start brings it to {known}, after a backup"], NONE),
    entry("db_newer", "database", Failed, ["由更新版本的 PicGate 写入（结构 {found}，本版本支持 {known}）", "it was written by a newer PicGate (form {found}, this one knows {known})"],
        ["安装该版本，或恢复 {backups} 中的备份", "install that version, or restore a backup from {backups}"]),
    entry("db_python", "database", Failed, ["{path} 是 Python 版的数据库，不会被修改", "{path} is a database of the Python program and is never changed"],
        ["去掉 DATABASE_URL，让 PicGate 使用自己的数据库", "leave DATABASE_URL away, so that PicGate keeps a database of its own"]),
    entry("db_damaged", "database", Failed, ["{path} 已损坏：{error}", "{path} is damaged: {error}"],
        ["停止网关，备份整个数据文件夹，再用 {backups} 中最新的副本替换数据库；图片文件会在启动时重新登记", "stop the gateway, copy the whole data folder, then replace the database by the newest copy in {backups}; picture files are found again at the start"]),
    entry("db_unreadable", "database", Failed, ["无法读取 {path}：{error}", "{path} cannot be read: {error}"],
        ["检查权限（用运行网关的账户执行本命令）以及是否有其他程序占用", "check its permissions (run this as the account that runs the gateway) and whether another program holds it"]),
    entry("images_missing", "database", Warning, ["{images} 张图片中有 {missing} 张的文件不见了", "of {images} images, the files of {missing} are gone"],
        ["从备份恢复 blobs 文件夹中缺失的文件，重启后会自动找回", "restore the missing files in the folder blobs from a backup; a restart finds them"]),

    entry("admin_ok", "admin", Ok, ["已设置", "set up"], NONE),
    entry("admin_none", "admin", Note, ["尚未设置：打开 http://localhost:{port}/admin，使用日志中的一次性口令", "not set up yet: open http://localhost:{port}/admin with the ticket from the log"], NONE),

    entry("clock_ok", "clock", Ok, ["与 {host} 一致", "agrees with {host}"], NONE),
    entry("clock_unknown", "clock", Note, ["没有可以对照的服务器", "there is no server to compare it with"], NONE),
    entry("clock_off", "clock", Warning, ["与 {host} 相差 {minutes} 分钟", "it differs from {host} by {minutes} minutes"], ["开启系统的自动校时", "let the system set the time automatically"]),
    entry("clock_wrong", "clock", Failed, ["与 {host} 相差 {minutes} 分钟，存储桶会拒绝请求", "it differs from {host} by {minutes} minutes; buckets refuse that"],
        ["开启系统的自动校时（Linux：timedatectl set-ntp true）", "let the system set the time automatically (Linux: timedatectl set-ntp true)"]),
    entry("clock_went_back", "clock", Failed, ["比数据库中最新的记录早 {minutes} 分钟：时钟被调回，或当时走快了", "it is {minutes} minutes before the latest entry of the database: it was set back, or was fast then"],
        ["开启系统的自动校时（Linux：timedatectl set-ntp true）", "let the system set the time automatically (Linux: timedatectl set-ntp true)"]),

    entry("gateway_ok", "gateway", Ok, ["正在端口 {port} 上运行，版本 {version}", "runs on port {port}, version {version}"], NONE),
    entry("gateway_other_version", "gateway", Note, ["端口 {port} 上运行的是版本 {version}，本程序是 {own}", "version {version} runs on port {port}; this program is {own}"], NONE),
    entry("gateway_elsewhere", "gateway", Note, ["这个数据文件夹的网关正在端口 {port} 上运行（进程 {process}），不在端口 {asked}；以下检查针对它", "the gateway of this data folder runs on port {port} (process {process}), not on {asked}; what follows is about that one"], NONE),
    entry("gateway_stopped", "gateway", Note, ["没有运行；端口 {port} 可用", "does not run; port {port} is free"], NONE),
    entry("port_taken", "gateway", Failed, ["端口 {port} 被其他程序占用", "another program uses port {port}"],
        ["停止那个程序，或用 --port（或 PORT）换一个端口", "stop that program, or choose another port with --port or PORT"]),
    entry("port_taken_by", "gateway", Failed, ["端口 {port} 被 {program}（进程 {process}）占用", "port {port} is used by {program} (process {process})"],
        ["停止那个程序，或用 --port（或 PORT）换一个端口", "stop that program, or choose another port with --port or PORT"]),
    entry("port_refused", "gateway", Failed, ["无法监听 {host} 的端口 {port}：{error}", "port {port} of {host} cannot be listened on: {error}"],
        ["用 --host 选择本机的地址，用 --port 选择 1023 以上的端口", "choose an address of this computer with --host, and a port above 1023 with --port"]),

    entry("here_ok", "here", Ok, ["{base} 可用", "{base} works"], NONE),
    entry("here_no_key", "here", Note, ["没有网关密钥，无法试用 {base}", "there is no gateway key to try {base} with"], NONE),
    entry("here_other_folder", "here", Failed, ["{base} 上的网关不接受 {path} 中的密钥：它使用另一个数据文件夹", "the gateway at {base} refuses the key in {path}: it uses another data folder"],
        ["用 --data-dir 指定它的文件夹，或用 --port 指定另一个端口", "name its folder with --data-dir, or another port with --port"]),
    entry("here_mute", "here", Note, ["{base} 上的网关由较旧的版本启动，无法从这里试用", "the gateway at {base} was started by an older version and cannot be tried from here"], NONE),
    entry("here_no_link", "here", Failed, ["{base} 没有提供图片 {image}", "{base} does not serve the image {image}"],
        ["在图库中查看这张图片；若文件缺失，从备份或存储桶恢复", "look at this image in the gallery; if its file is gone, restore it from a backup or the bucket"]),
    entry("here_failed", "here", Failed, ["{base} 没有给出正确的回答", "{base} does not answer as it should"], ["查看日志，然后重启网关", "look at the log and restart the gateway"]),

    entry("lan_ok", "lan", Ok, ["{base} 可用", "{base} works"], NONE),
    entry("lan_none", "lan", Note, ["本机没有连接网络", "this computer is in no network"], NONE),
    entry("lan_container", "lan", Note, ["在容器中：其他设备经由发布的端口访问（-p {port}:{port}）", "in a container: others reach it by the port that is published (-p {port}:{port})"], NONE),
    entry("lan_closed", "lan", Note, ["未开放，只有本机能访问；如需开放，请在设置页面选择，或用 --host 0.0.0.0 启动", "closed: this computer alone reaches it; to open it, choose so on the settings page or start it with --host 0.0.0.0"], NONE),
    entry("lan_blocked", "lan", Warning, ["正在监听，但 {base} 无法访问", "it listens, yet {base} cannot be reached"], ["在防火墙中放行端口 {port}", "allow port {port} in the firewall"]),

    entry("docker_ok", "docker", Ok, ["容器可以通过 host.docker.internal:{port}（{bridge}）访问", "containers reach it as host.docker.internal:{port} ({bridge})"], NONE),
    entry("docker_none", "docker", Note, ["本机没有 Docker 网桥", "there is no Docker bridge on this computer"], NONE),
    entry("docker_desktop", "docker", Ok, ["Docker Desktop 中的容器可以通过 host.docker.internal:{port} 访问", "containers in Docker Desktop reach it as host.docker.internal:{port}"], NONE),
    entry("docker_desktop_closed", "docker", Warning, ["Docker Desktop 中的容器无法访问", "containers in Docker Desktop do not reach it"],
        ["用 --host 127.0.0.1 或 --host 0.0.0.0 启动", "start it with --host 127.0.0.1 or --host 0.0.0.0"]),
    entry("docker_closed", "docker", Warning, ["容器无法访问 {base}：Docker 中的 Open WebUI 连不上", "containers do not reach {base}, and so Open WebUI in Docker cannot connect"],
        ["在设置页面允许 Docker 访问，或用 --host {bridge}（仅 Docker 网桥）或 --host 0.0.0.0（所有网络）启动，并在防火墙中放行端口 {port}；容器需要 --add-host=host.docker.internal:host-gateway", "let Docker in on the settings page, or start it with --host {bridge} (Docker's bridge alone) or --host 0.0.0.0 (every network), and allow port {port} in the firewall; the container needs --add-host=host.docker.internal:host-gateway"]),

    entry("public_ok", "public", Ok, ["{base} 可用", "{base} works"], NONE),
    entry("public_unset", "public", Note, ["未设置：链接使用客户端访问网关时的地址，容器名则换成 localhost", "not set: links name the address by which the client called, and localhost in place of container names"], NONE),
    entry("public_unknown_name", "public", Failed, ["浏览器打不开 {host}：这是容器之间的名称", "browsers do not know {host}: it is a name among containers"],
        ["把公开地址改成浏览器能打开的，例如 http://192.168.1.20:5643", "set the public base URL to one that your browser opens, such as http://192.168.1.20:5643"]),
    entry("public_unreachable", "public", Warning, ["从本机无法访问 {base}", "{base} cannot be reached from this computer"],
        ["在浏览器中打开 {base}/health；打不开就检查域名、反向代理和防火墙", "open {base}/health in your browser; if that fails, check name, reverse proxy and firewall"]),
    entry("public_other", "public", Failed, ["{base} 上的不是 PicGate", "at {base} there is something else than PicGate"],
        ["检查反向代理的目标是否为本网关，以及公开地址是否写错", "check that the reverse proxy leads to this gateway, and the public base URL itself"]),
    entry("public_another", "public", Note,
        ["{base} 由另一个网关回应：可能是这个网关的另一个副本；如果只有一个网关，请检查反向代理的目标和公开地址",
         "another gateway answers at {base}, such as another replica of this one; if there is one gateway alone, check where the reverse proxy leads, and the public base URL"], NONE),
    entry("public_no_link", "public", Failed, ["{base} 没有提供图片链接", "{base} does not serve the links of pictures"],
        ["反向代理需要把 /images/ 也转发到网关", "the reverse proxy must pass /images/ on to the gateway as well"]),

    entry("upstream_ok", "upstream", Ok, ["{name}：可用，有 {count} 个模型，包括 {model}", "{name}: answers, with {count} models and {model} among them"], NONE),
    entry("upstream_demo", "upstream", Note, ["内置演示正在作画；在设置页面添加上游", "the built-in demo draws; add an upstream on the settings page"], NONE),
    entry("upstream_no_model", "upstream", Warning, ["{name}：列出的 {count} 个模型中没有 {model}", "{name}: {model} is not among the {count} models that it lists"],
        ["检查模型名称；有的上游不会列出全部模型，能画就不用理会", "check the model's name; some upstreams do not list all, so pass over this if it draws"]),
    entry("upstream_failed", "upstream", Failed, ["{name}：{problem}", "{name}: {problem}"], ["{remedy}", "{remedy}"]),

    entry("bucket_none", "bucket", Note, ["未设置：图片只保存在本机", "not set: pictures are on this computer alone"], NONE),
    entry("bucket_ok", "bucket", Ok, ["{bucket} 可以读写和删除", "{bucket} can be written, read and deleted from"], NONE),
    entry("bucket_skipped", "bucket", Note, ["{bucket} 未检查：数据文件夹还不能使用", "{bucket} was not tried: the data folder cannot be used yet"], NONE),
    entry("bucket_incomplete", "bucket", Failed, ["设置不完整，没有备份图片；还缺 {missing}", "it is described in part only, and no picture is copied; missing: {missing}"],
        ["在设置页面或用这些环境变量补全，或全部清空", "complete it on the settings page or by these variables, or clear all of it"]),
    entry("bucket_failed", "bucket", Failed, ["{bucket}（{step}）：{problem}", "{bucket} ({step}): {problem}"],
        ["按上面的提示修改设置页面的云存储部分，再点“测试”", "mend it as said on the settings page, under bucket, and test it there"]),
    entry("bucket_slow", "bucket", Failed, ["{bucket} 没有及时响应", "{bucket} does not answer in time"], ["检查网络和端点", "check the network and the endpoint"]),
    entry("copies_failing", "bucket", Warning, ["{count} 张图片尚未备份成功，最近的原因：{error}", "{count} images could not be copied yet; lately because: {error}"],
        ["修正原因后在缓存页面点“重试”", "mend the cause, then retry on the cache page"]),
];

/// A finding in words.
pub(super) fn finding(code: &str, values: &[(&str, &str)], chinese: bool) -> Finding {
    let language = usize::from(!chinese);
    // A code that is not in the table would be our own mistake; it is told rather than hidden.
    let unknown =
        Entry {
            code: "unknown", check: "configuration", state: Failed, text: ["{code}", "{code}"], remedy: ["报告此问题", "report this"]
        };
    let entry = ENTRIES.iter().find(|entry| entry.code == code).unwrap_or(&unknown);
    let (_, zh, en) = PARTS.iter().find(|(check, ..)| *check == entry.check).copied().unwrap_or((entry.check, entry.check, entry.check));
    Finding {
        check: entry.check,
        name: if chinese { zh } else { en },
        state: entry.state,
        code: entry.code,
        text: filled(entry.text[language], values),
        remedy: Some(filled(entry.remedy[language], values)).filter(|remedy| !remedy.is_empty()),
    }
}

/// Puts values in place of their names, once, so that braces in values stay what they are.
pub fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = behind.split_once('}') else { break };
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("?", |(_, value)| value));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_finding_has_words_in_both_languages_and_every_trouble_a_remedy() {
        let mut codes = BTreeSet::new();
        for entry in ENTRIES {
            assert!(codes.insert(entry.code), "{} twice", entry.code);
            assert!(PARTS.iter().any(|(check, ..)| *check == entry.check), "{}", entry.code);
            assert!(entry.text.iter().all(|text| !text.is_empty()), "{}", entry.code);
            assert_eq!(names(entry.text[0]), names(entry.text[1]), "{}", entry.code);
            assert_eq!(names(entry.remedy[0]), names(entry.remedy[1]), "{}", entry.code);
            let is_trouble = matches!(entry.state, Warning | Failed);
            assert!(entry.remedy.iter().all(|remedy| remedy.is_empty() != is_trouble), "{}", entry.code);
        }
    }

    #[test]
    fn every_code_that_is_used_is_known() {
        for source in [include_str!("mod.rs"), include_str!("folder.rs"), include_str!("here.rs"), include_str!("others.rs")] {
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            let words = code.split('"').skip(1).step_by(2).filter(|word| {
                let prefix = word.split('_').next().unwrap_or_default();
                word.contains('_') && ENTRIES.iter().any(|entry| entry.code.split('_').next() == Some(prefix))
            });
            for word in words.filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')) {
                let is_setting = crate::model::Setting::find(word).is_some();
                assert!(is_setting || ENTRIES.iter().any(|entry| entry.code == word), "{word} has no words");
            }
        }
    }

    #[test]
    fn braces_in_values_stay_what_they_are() {
        assert_eq!(filled("a {x} b {y}", &[("x", "{y}"), ("y", "1")]), "a {y} b 1");
    }
}
