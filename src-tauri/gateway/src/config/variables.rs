//! Every variable of the environment with its meaning in both languages: what the tables in both READMEs are made of. A
//! test holds it to what `Config::load` reads, and the tables to it.

use crate::model::Setting;

/// A language of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// README.md.
    English,
    /// README.zh-CN.md.
    Chinese,
}

/// What holds when a variable is not set.
#[derive(Clone, Copy, Debug)]
enum Fallback {
    /// The default of the setting of the same name.
    Setting,
    /// This value.
    Value(&'static str),
    /// These words, in English and Chinese.
    Words(&'static str, &'static str),
}

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name, such as `PICGATE_GATEWAY_KEY`.
    pub name: &'static str,
    fallback: Fallback,
    english: &'static str,
    chinese: &'static str,
}

use Fallback::{Setting as Default, Value, Words};

const NONE: Fallback = Words("none", "无");

const fn variable(name: &'static str, fallback: Fallback, english: &'static str, chinese: &'static str) -> Variable {
    Variable { name, fallback, english, chinese }
}

/// All of them, as the tables list them.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    variable("HOST", Value("127.0.0.1"),
        "address to listen on; `0.0.0.0` for all. With the default, IPv6's `::1` as well",
        "监听地址；`0.0.0.0` 表示全部。默认时也监听 IPv6 的 `::1`"),
    variable("PICGATE_LISTEN", Default,
        "who can reach the gateway while `HOST` is not set: `this_computer`, `docker` (on Linux its bridges as well) or `everyone`",
        "没有设置 `HOST` 时谁可以访问网关：`this_computer`（仅本机）、`docker`（Linux 上也监听 Docker 网桥）或 `everyone`（所有人）"),
    variable("PORT", Value("5643"), "port to listen on", "监听端口"),
    variable("PICGATE_DATA_DIR", Words("see [below](#your-pictures)", "见[下文](#图片存在哪里)"), "folder where everything is kept", "数据目录"),
    variable("DATABASE_URL", Words("in the data folder", "数据目录内"),
        "a database elsewhere: `sqlite:///relative.db` or `sqlite:////absolute.db`; also in the form `sqlite+aiosqlite:///…`",
        "把数据库放到别处：`sqlite:///相对路径.db` 或 `sqlite:////绝对路径.db`；也接受 `sqlite+aiosqlite:///…`"),
    variable("IMAGES_DIR", Words("in the data folder", "数据目录内"),
        "pictures elsewhere: in `store/` below this folder", "把图片放到别处：存在该目录下的 `store/` 中"),
    variable("PICGATE_GATEWAY_KEY", Words("made at the first start", "首次启动时生成"),
        "key for clients; at least 8 characters", "客户端使用的密钥，至少 8 个字符"),
    variable("PICGATE_GATEWAY_MODEL", Default, "model name that clients see", "客户端看到的模型名"),
    variable("PICGATE_PUBLIC_BASE_URL", Words("from the request", "由请求推断"),
        "what links begin with, such as `https://img.example.com`", "链接的开头，例如 `https://img.example.com`"),
    variable("PICGATE_TRUSTED_PROXIES", NONE,
        "addresses and networks, separated by commas, whose `Forwarded` and `X-Forwarded-Host`/`-Proto` are believed",
        "可信代理的地址或网段，用逗号分隔；只有来自它们的 `Forwarded`、`X-Forwarded-Host`、`X-Forwarded-Proto` 才被采信"),
    variable("PICGATE_UPSTREAM_KIND", Words("`openai` if one of the next two is set, else `demo`", "设置了下面两项之一时为 `openai`，否则为 `demo`"),
        "`openai` or `demo`", "`openai` 或 `demo`"),
    variable("PICGATE_UPSTREAM_BASE_URL", Value("https://api.openai.com/v1"), "the upstream's API address", "上游的接口地址"),
    variable("PICGATE_UPSTREAM_API_KEY", NONE,
        "the upstream's key; may be missing if the base URL is set", "上游的密钥；设置了接口地址时可以没有"),
    variable("PICGATE_UPSTREAM_MODEL", Value("gpt-image-1"), "the model that the upstream is asked for", "向上游请求的模型"),
    variable("PICGATE_UPSTREAM_DIALECT", Value("auto"),
        "`chat` or `images`: the part of the API that the upstream has", "`chat` 或 `images`：上游有哪一种接口"),
    variable("PICGATE_R2_ACCOUNT_ID", Default, "Cloudflare's account id, for a copy of every picture in R2", "Cloudflare 账户 ID，用于把每张图备份到 R2"),
    variable("PICGATE_R2_ACCESS_KEY_ID", Default, "the token's access key id", "R2 API 令牌的 Access Key ID"),
    variable("PICGATE_R2_SECRET_ACCESS_KEY", Default, "the token's secret", "R2 API 令牌的 Secret Access Key"),
    variable("PICGATE_R2_BUCKET", Default, "the bucket", "存储桶名称"),
    variable("PICGATE_S3_ENDPOINT", Default,
        "another S3-compatible server instead of R2, such as `https://minio.example.com`",
        "用其他兼容 S3 的服务代替 R2，例如 `https://minio.example.com`"),
    variable("PICGATE_S3_REGION", Default, "its region", "它的区域"),
    variable("PICGATE_S3_PREFIX", Default, "what the names of all objects begin with", "所有对象名的前缀"),
    variable("PICGATE_S3_WRITE", Default,
        "`through`: a picture is in the bucket before its link is given out, for several gateways on one bucket",
        "`through`：图片先进入存储桶，再给出链接；用于多个网关共用一个存储桶"),
    variable("PICGATE_BUCKET_PUBLIC_URL", Default, "the bucket's own public domain", "存储桶自己的公开域名"),
    variable("PICGATE_BUCKET_LINKS", Default,
        "`redirect`: links lead on to that domain; `direct`: new links name it (needs `PICGATE_S3_WRITE=through` and a prefix that ends in `images/`)",
        "`redirect`：链接跳转到该域名；`direct`：新链接直接使用该域名（需要 `PICGATE_S3_WRITE=through`，且前缀以 `images/` 结尾）"),
    variable("PICGATE_CACHE_TTL_HOURS", Default,
        "hours after the last look until the copy on disk goes, if there is one in the bucket; 0 for never",
        "最后一次访问后多少小时删除本地副本（仅当云端已有副本）；0 表示不删除"),
    variable("PICGATE_CACHE_CAP_MB", Default,
        "megabytes of pictures on disk; beyond them the longest unused go, if there is a copy in the bucket; 0 for no limit",
        "本地图片的上限（MB）；超出后先删除最久未用、且云端已有副本的；0 表示不限制"),
    variable("PICGATE_EVICT_LAST_COPY", Default,
        "`true`: the cap may also remove pictures that have no copy in the bucket",
        "设为 `true` 时，达到上限也会删除云端没有副本的图片"),
    variable("PICGATE_RETENTION_DAYS", Default,
        "days after which prompt, parameters and record of a picture are forgotten, if it is in the bucket; 0 for never",
        "多少天后删除图片的提示词、参数和记录（仅当云端已有副本）；0 表示不删除"),
    variable("PICGATE_DELETE_CLOUD_WITH_METADATA", Default,
        "`true`: its copy in the bucket goes then, too, and the link ends", "设为 `true` 时，云端副本也一并删除，链接随之失效"),
    variable("PICGATE_PROGRESS_STYLE", Default,
        "how waiting looks in a chat: `content`, `reasoning` or `quiet`", "对话中等待时的显示方式：`content`、`reasoning` 或 `quiet`"),
    variable("PICGATE_LANGUAGE", Default,
        "language of progress, errors, `/admin` and the command line: `zh`, `en`, or `auto` by the prompt's script and the browser",
        "进度、错误说明、管理界面和命令行的语言：`zh`、`en`，或 `auto`（按提示词的文字和浏览器判断）"),
    variable("PICGATE_INTENT_WORDS", Words("a built-in list", "内置词表"),
        "words that tell of a drawing, separated by commas or lines", "表示要画图的词，用逗号或换行分隔"),
    variable("PICGATE_TASK_MODEL", Default,
        "a text model of the upstream for Open WebUI's background tasks", "用来做 Open WebUI 后台任务的上游文本模型"),
    variable("PICGATE_QUOTA_WINDOW", Default,
        "how long the upstream's quota runs, in words: `5 小时`", "上游配额的周期，用文字写明：`5 小时`"),
    variable("PICGATE_MODEL_ALIASES", Words("three", "三个"),
        "further model names with presets: `name: flags; name: flags`", "另外的带预设的模型名：`名字: 参数; 名字: 参数`"),
    variable("PICGATE_HISTORY_IMAGES", Default, "pictures of a conversation that go along, 1 to 64", "对话中最多带上几张图片，1 到 64"),
    variable("PICGATE_HISTORY_MB", Default, "megabytes of them, 1 to 200", "这些图片总共最多多少 MB，1 到 200"),
    variable("PICGATE_KEEP_UPLOADS", Default,
        "whether pictures that users send with a drawing are kept", "是否保存用户随画图请求发来的图片"),
    variable("PICGATE_IMAGES_RESPONSE", Default,
        "what the Images API answers with if the client does not say: `url`, `b64_json`", "客户端没有说明时，图像接口返回什么：`url`、`b64_json`"),
    variable("PICGATE_CONTENT_ARRAY", Default,
        "`true`: whole chat answers have a list of parts as `content`, for clients of the Python program that want it. Open WebUI does not",
        "设为 `true` 时，非流式对话回答的 `content` 是由多个部分组成的列表，供原先配合 Python 版、需要这种格式的客户端使用。Open WebUI 不需要"),
    variable("PICGATE_JSON_KEEP_ALIVE", Default,
        "`true`: a whole answer that takes longer than 15 seconds begins with line breaks, for proxies that close silent connections. Its status is then 200 even if it turns out to be an error",
        "设为 `true` 时，非流式回答如果超过 15 秒还没有给出，就先发送换行，供会断开沉默连接的代理使用。这时即使最后出错，状态码也是 200"),
    variable("PICGATE_FETCH_EXTERNAL_IMAGES", Default,
        "`true`: pictures of other servers that a user's message in a chat names are downloaded and sent to the upstream as pictures",
        "设为 `true` 时，对话中用户消息提到的其他网站的图片会被下载，并作为图片发给上游"),
    variable("PICGATE_ALLOW_FAKE_IP_NAMES", Value("false"),
        "`true`: that also works for names that a local proxy (Clash, sing-box) resolves to 198.18.0.0/15. Results of the upstream are downloaded from such names in any case",
        "设为 `true` 时，被本机代理（Clash、sing-box）解析到 198.18.0.0/15 的域名也可以这样下载。上游返回的图片不受此限制"),
    variable("PICGATE_ADMIN_USERNAME", Value("admin"),
        "name of the admin account that is made at the first start, instead of setting it up with the ticket; only beside the next one",
        "首次启动时创建的管理员账户的名字，代替用一次性口令设置；须与下一项同时使用"),
    variable("PICGATE_ADMIN_PASSWORD", NONE, "its password", "它的密码"),
    variable("PICGATE_ALLOWED_HOSTS", NONE,
        "host names by which `/admin`, `/health` and `/metrics` may be called, beside addresses, `localhost`, `host.docker.internal`, this computer's name and that of `PICGATE_PUBLIC_BASE_URL`",
        "可以用来访问 `/admin`、`/health` 和 `/metrics` 的主机名；IP 地址、`localhost`、`host.docker.internal`、本机名和 `PICGATE_PUBLIC_BASE_URL` 的主机名总是可以"),
    variable("PICGATE_NOTIFY_FINISHED", Default,
        "desktop app: a notification when a drawing is finished while no window has the focus", "桌面应用：没有窗口在前台时，画好后发通知"),
    variable("PICGATE_NOTIFY_FAILED", Default, "desktop app: when one failed", "桌面应用：画图失败时发通知"),
    variable("PICGATE_NOTIFY_DISK", Default, "desktop app: when the disk is nearly full", "桌面应用：磁盘快满时发通知"),
    variable("PICGATE_NOTIFY_BUCKET", Default, "desktop app: when the bucket cannot be used", "桌面应用：存储桶无法使用时发通知"),
    variable("PICGATE_LOG", Value("info"),
        "what is logged, to standard error: `error`, `warn`, `info`, `debug`, `trace`", "日志级别（写到标准错误）：`error`、`warn`、`info`、`debug`、`trace`"),
];

/// The table of a README: one row for each variable.
pub fn table(tongue: Tongue) -> String {
    let head = match tongue {
        Tongue::English => "| variable | default | meaning |",
        Tongue::Chinese => "| 变量 | 默认值 | 说明 |",
    };
    let mut text = format!("{head}\n|---|---|---|\n");
    for variable in VARIABLES {
        let meaning = match tongue {
            Tongue::English => variable.english,
            Tongue::Chinese => variable.chinese,
        };
        text.push_str(&format!("| `{}` | {} | {meaning} |\n", variable.name, fallback(variable, tongue)));
    }
    text
}

fn fallback(variable: &Variable, tongue: Tongue) -> String {
    let value = match variable.fallback {
        Value(value) => value,
        Words(english, chinese) => return if tongue == Tongue::English { english.into() } else { chinese.into() },
        Default => {
            let setting = variable.name.strip_prefix("PICGATE_").and_then(|name| Setting::find(&name.to_ascii_lowercase()));
            setting.map_or("", |setting| setting.default)
        }
    };
    match (value, tongue) {
        ("", Tongue::English) => "none".into(),
        ("", Tongue::Chinese) => "无".into(),
        (value, _) => format!("`{value}`"),
    }
}
