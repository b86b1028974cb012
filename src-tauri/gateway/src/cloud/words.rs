//! What people are told of a bucket that cannot be used, in Chinese and in English.

use super::error::{BucketError, Fault};

/// What is wrong with a bucket, and mostly what mends it.
pub fn explain(error: &BucketError, chinese: bool) -> String {
    let plain = words(error.fault.code(), chinese);
    match error.fault {
        Fault::WrongKey | Fault::WrongSecret | Fault::NoBucket => plain.to_owned(),
        _ => format!("{plain} ({})", error.words),
    }
}

fn words(code: &str, chinese: bool) -> &'static str {
    let (zh, en) = match code {
        "no_bucket" => ("没有这个存储桶：请检查名称。", "There is no such bucket: check its name."),
        "wrong_key" => ("Access Key ID 不正确。", "The access key id is not known there."),
        "wrong_secret" => ("Secret Access Key 与 Access Key ID 不匹配。", "The secret does not belong to the access key id."),
        "forbidden" => {
            ("没有权限：令牌需要对该存储桶的读写权限。", "Not allowed: the token needs to read and write objects of this bucket.")
        }
        "clock_skew" => ("本机时间不准：请校准时钟。", "This computer's clock is off: set it right."),
        "quota" => ("空间或额度已用完。", "There is no room left, or the account's quota is used up."),
        "unreachable" => ("无法连接：请检查端点和网络。", "It cannot be reached: check the endpoint and the network."),
        "tls" => ("无法建立安全连接。", "No trusted connection can be made."),
        "timeout" => ("没有及时响应。", "It did not answer in time."),
        "bucket_busy" => ("服务器暂时不可用。", "The server is not available at the moment."),
        "wrong_bytes" => ("读回的内容与写入的不同。", "What was read back is not what was written."),
        _ => ("存储桶返回了错误。", "The bucket answered with an error."),
    };
    if chinese { zh } else { en }
}

/// What is said of a bucket that is not described completely.
pub fn not_configured(chinese: bool) -> &'static str {
    if chinese {
        "还缺少端点（或账户 ID）、Access Key ID、Secret 或存储桶名称；更换端点时需要重新填写 Secret。"
    } else {
        "The endpoint (or account id), access key id, secret or bucket name is missing; another endpoint needs the secret again."
    }
}
