//! PicGate: a gateway between chat clients and AI image models. It stores the pictures that upstreams answer with,
//! hands out links to them, and turns those links back into image bytes when the conversation goes on.

pub mod model;
pub mod rewrite;
