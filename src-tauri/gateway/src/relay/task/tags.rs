//! What a conversation is about, by a small lexicon in Chinese and English: tags, and an emoji for them.

use super::super::intent::Words;

/// Most tags for what is done, and most for what is shown.
const BROAD_MAX: usize = 2;
const SUBJECTS_MAX: usize = 2;

/// A tag.
struct Entry {
    chinese: &'static str,
    english: &'static str,
    emoji: &'static str,
    /// The words that stand for it.
    words: &'static str,
}

const EDITING: Entry = entry(
    "图像编辑",
    "Image editing",
    "🪄",
    "换成,換成,改成,改为,变成,變成,变为,變為,修改,替换,去掉,去除,抠图,上色,修图,修复,p图,扩图,edit,replace,retouch,remove,crop,\
     colorize,upscale,turn it into,turn this into,change the",
);

const ART: Entry = entry(
    "绘画",
    "Art",
    "🎨",
    "画,畫,绘,繪,生成图,生成一张,来一张,张图,图片,素描,水彩,draw,paint,sketch,illustrate,illustration,render,image,picture,artwork",
);

const CODE: Entry =
    entry("编程", "Programming", "💻", "代码,编程,程序,python,javascript,typescript,sql,html,css,code,programming,algorithm");

const SUBJECTS: [Entry; 15] = [
    entry(
        "动物",
        "Animals",
        "🐾",
        "狐狸,猫,貓,狗,犬,鸟,鳥,老虎,狮子,熊,兔,鲸,鯨,狼,鹿,猴,企鹅,大象,蝴蝶,动物,宠物,柯基,柴犬,骏马,金鱼,fox,cat,dog,kitten,puppy,\
         bird,horse,tiger,lion,bear,panda,rabbit,bunny,fish,whale,wolf,wolves,deer,monkey,elephant,butterfly,penguin,owl,animal,pet",
    ),
    entry(
        "人物",
        "People",
        "🧑",
        "女孩,男孩,少女,少年,女人,男人,女生,男生,美女,帅哥,人物,人像,肖像,老人,小孩,孩子,婴儿,模特,公主,武士,头像,自拍,girl,boy,woman,\
         women,man,men,people,person,portrait,child,children,baby,lady,princess,knight,samurai,selfie",
    ),
    entry(
        "风景",
        "Landscape",
        "🏞️",
        "风景,風景,山水,雪山,高山,大海,海边,海滩,海洋,海浪,湖,河流,森林,日出,日落,夕阳,雪景,雪地,星空,天空,草原,沙漠,田野,樱花,瀑布,\
         landscape,scenery,mountain,sea,ocean,beach,lake,river,forest,sunset,sunrise,snow,sky,desert,waterfall,meadow,valley",
    ),
    entry(
        "建筑",
        "Architecture",
        "🏛️",
        "建筑,建築,城堡,房子,房屋,大楼,摩天,寺庙,教堂,古镇,宫殿,室内,客厅,architecture,building,castle,house,skyscraper,temple,church,\
         bridge,palace,interior,cottage",
    ),
    entry("城市", "City", "🏙️", "城市,街道,街头,都市,霓虹,city,cities,street,urban,cityscape,skyline,neon"),
    entry(
        "美食",
        "Food",
        "🍜",
        "美食,食物,蛋糕,面条,火锅,咖啡,水果,披萨,汉堡,寿司,饺子,甜品,奶茶,food,cake,noodles,coffee,fruit,pizza,burger,sushi,bread,dessert",
    ),
    entry(
        "设计",
        "Design",
        "📐",
        "设计,設計,logo,标志,图标,海报,海報,封面,名片,包装,排版,壁纸,表情包,贴纸,banner,design,icon,poster,album cover,book cover,packaging,wallpaper,\
         avatar,sticker",
    ),
    entry("动漫", "Anime", "🌸", "动漫,動漫,二次元,漫画,漫畫,卡通,吉卜力,宫崎骏,手办,anime,manga,cartoon,chibi,ghibli,comic"),
    entry(
        "科幻",
        "Sci-fi",
        "🚀",
        "科幻,赛博朋克,机器人,宇宙,太空,飞船,未来,机甲,宇航员,sci fi,scifi,cyberpunk,robot,outer space,galaxy,spaceship,futuristic,mecha,astronaut",
    ),
    entry(
        "奇幻",
        "Fantasy",
        "🐉",
        "奇幻,魔法,巨龙,神龙,精灵,恶魔,天使,神话,仙侠,fantasy,magic,dragon,elf,elves,wizard,fairy,angel,demon,unicorn",
    ),
    entry(
        "植物",
        "Plants",
        "🌿",
        "花朵,鲜花,花园,向日葵,玫瑰,植物,大树,树叶,竹,flower,tree,rose,plant,leaf,leaves,bamboo,garden,sunflower",
    ),
    entry(
        "交通",
        "Vehicles",
        "🚗",
        "汽车,汽車,跑车,摩托,火车,飞机,自行车,轮船,帆船,car,truck,motorcycle,locomotive,airplane,bicycle,sailboat,boat",
    ),
    entry("摄影", "Photography", "📷", "摄影,攝影,照片,写真,证件照,photo,photograph,photography,photorealistic"),
    entry("国风", "Chinese style", "🏮", "国风,水墨,国画,古风,汉服,工笔,chinese style,ink wash,hanfu"),
    entry("节日", "Festivals", "🎉", "春节,圣诞,中秋,新年,端午,元宵,生日,christmas,birthday,halloween,new year,valentine"),
];

const MOODS: [(&str, &str); 6] = [
    ("😂", "哈哈,笑死,好笑,haha,lol,funny,hilarious"),
    ("😢", "难过,傷心,伤心,哭,失望,可惜,遗憾,悲,sad,cry,crying,disappointed,miss,lonely"),
    ("😡", "生气,生氣,气死,愤怒,讨厌,糟糕,angry,hate,furious,annoyed,annoying,terrible"),
    ("😱", "天哪,天啊,震惊,吓,可怕,恐怖,wow,omg,scary,afraid,shocked,shocking"),
    ("😍", "喜欢,喜歡,爱,愛,漂亮,好看,真美,love,beautiful,gorgeous,cute,awesome"),
    ("🤔", "为什么,為什麼,怎么,怎麼,什么,如何,why,how,what,which,when"),
];

/// Tags for these words of a user, broad ones first; never none.
pub fn find(words: &str, chinese: bool) -> Vec<&'static str> {
    let subjects: Vec<&Entry> = subjects(words).take(SUBJECTS_MAX).collect();
    let mut broad: Vec<&Entry> = [&ART, &EDITING, &CODE].into_iter().filter(|e| has(e, words)).take(BROAD_MAX).collect();
    if broad.is_empty() && !subjects.is_empty() {
        // Whoever names a fox and nothing else to a drawing model wants it drawn.
        broad.push(&ART);
    }
    let tags: Vec<&str> = broad.iter().chain(&subjects).map(|e| if chinese { e.chinese } else { e.english }).collect();
    // What Open WebUI's prompt asks for where nothing fits.
    if tags.is_empty() { vec![if chinese { "通用" } else { "General" }] } else { tags }
}

/// An emoji that fits these words.
pub fn emoji(words: &str) -> &'static str {
    subjects(words).chain([&EDITING, &CODE].into_iter().filter(|e| has(e, words))).next().unwrap_or(&ART).emoji
}

/// The face that goes with a message.
pub fn mood(message: &str) -> &'static str {
    MOODS.iter().find(|(_, words)| Words::parse(words).found_in(message)).map_or("😊", |(face, _)| face)
}

const fn entry(chinese: &'static str, english: &'static str, emoji: &'static str, words: &'static str) -> Entry {
    Entry { chinese, english, emoji, words }
}

fn subjects(words: &str) -> impl Iterator<Item = &'static Entry> {
    SUBJECTS.iter().filter(move |e| has(e, words))
}

fn has(entry: &Entry, words: &str) -> bool {
    Words::parse(entry.words).found_in(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_emoji_follow_the_words() {
        for (words, chinese, tags, face) in [
            ("Draw a red fox", false, &["Art", "Animals"][..], "🐾"),
            ("画一只红色的狐狸", true, &["绘画", "动物"], "🐾"),
            ("把背景换成海滩", true, &["图像编辑", "风景"], "🏞️"),
            ("a cyberpunk city at night with robots and cats", false, &["Art", "Animals", "City"], "🐾"),
            ("edit this picture: replace the sky", false, &["Art", "Image editing", "Landscape"], "🏞️"),
            ("为咖啡店设计一个logo", true, &["绘画", "美食", "设计"], "🍜"),
            ("write python code", false, &["Programming"], "💻"),
            ("上海天气怎么样", true, &["通用"], "🎨"),
            ("Tell me about category theory", false, &["General"], "🎨"),
            ("", false, &["General"], "🎨"),
        ] {
            assert_eq!(find(words, chinese), tags, "{words}");
            assert_eq!(emoji(words), face, "{words}");
        }
    }

    #[test]
    fn a_face_follows_the_mood() {
        for (message, face) in [("哈哈哈太好笑了", "😂"), ("I love it!", "😍"), ("为什么？", "🤔"), ("ok", "😊"), ("", "😊")]
        {
            assert_eq!(mood(message), face, "{message}");
        }
    }
}
