//! The tray's icons: one for each mood, for light and for dark panels. `icons/generate.py` draws them.

use tauri::image::Image;

use super::{menu::Mood, platform::Panel};

/// The icon of a mood; `None` never, unless a file was damaged when this was built.
pub fn icon(mood: Mood, panel: Panel) -> Option<Image<'static>> {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../../icons/tray/", $name, ".png")).as_slice()
        };
    }
    let bytes = match (mood, panel) {
        (Mood::Idle, Panel::Dark) => file!("idle-dark"),
        (Mood::Idle, Panel::Light) => file!("idle-light"),
        (Mood::Idle, Panel::Template) => file!("idle-template"),
        (Mood::Busy, Panel::Dark) => file!("busy-dark"),
        (Mood::Busy, Panel::Light) => file!("busy-light"),
        (Mood::Busy, Panel::Template) => file!("busy-template"),
        (Mood::Paused, Panel::Dark) => file!("paused-dark"),
        (Mood::Paused, Panel::Light) => file!("paused-light"),
        (Mood::Paused, Panel::Template) => file!("paused-template"),
        (Mood::Error, Panel::Dark) => file!("error-dark"),
        (Mood::Error, Panel::Light) => file!("error-light"),
        (Mood::Error, Panel::Template) => file!("error-template"),
    };
    Image::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_decodes_and_differs_from_the_others() {
        let moods = [Mood::Idle, Mood::Busy, Mood::Paused, Mood::Error];
        let panels = [Panel::Dark, Panel::Light, Panel::Template];
        let mut seen = std::collections::HashSet::new();
        for mood in moods {
            for panel in panels {
                let icon = icon(mood, panel).expect("decodes");
                assert_eq!((icon.width(), icon.height()), (64, 64));
                assert!(seen.insert(icon.rgba().to_vec()), "{mood:?} on {panel:?} looks like another");
            }
        }
    }
}
