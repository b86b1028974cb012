//! The tray's icon and menu: shows what `menu` says, and hands back what is chosen.

use std::sync::{Mutex, PoisonError};

use tauri::{
    AppHandle, Wry,
    menu::{CheckMenuItem, IsMenuItem, Menu, MenuItem, PredefinedMenuItem},
    tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent},
};

use super::{
    icons,
    menu::{Command, Line, Mood, View},
    platform::Panel,
};

const ID: &str = "main";

/// The tray, if this computer takes one.
pub struct Tray {
    icon: TrayIcon,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    lines: Vec<Line>,
    items: Vec<Item>,
    looks: Option<(Mood, Panel)>,
    status: String,
}

enum Item {
    Rule,
    Plain(MenuItem<Wry>),
    Check(CheckMenuItem<Wry>),
}

impl Tray {
    /// Puts the icon up. Where a library that it needs is missing, the binding panics instead of failing; that is caught here.
    ///
    /// # Errors
    /// What is missing.
    pub fn put_up(app: &AppHandle, view: &View, chosen: fn(&AppHandle, Command)) -> Result<Self, String> {
        let build = || {
            let (menu, items) = build_menu(app, &view.lines())?;
            let mut builder = TrayIconBuilder::with_id(ID).tooltip("PicGate").menu(&menu).show_menu_on_left_click(false);
            if let Some(icon) = icons::icon(view.mood(), Panel::default()) {
                builder = builder.icon(icon);
            }
            let icon = builder
                .on_menu_event(move |app, event| {
                    if let Some(command) = Command::of_word(event.id().as_ref()) {
                        chosen(app, command);
                    }
                })
                .on_tray_icon_event(move |tray, event| {
                    // Where the system reports clicks, the left button opens the dashboard and the right one the menu.
                    if let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event {
                        chosen(tray.app_handle(), Command::Open(picgate_gateway::shell::Page::Dashboard));
                    }
                })
                .build(app)?;
            tauri::Result::Ok((icon, items))
        };
        match super::caught(build) {
            Some(Ok((icon, items))) => {
                let shown = Shown { lines: view.lines(), items, looks: None, status: String::new() };
                Ok(Self { icon, shown: Mutex::new(shown) })
            }
            Some(Err(error)) => Err(error.to_string()),
            None => Err(super::platform::NO_TRAY_REMEDY.to_owned()),
        }
    }

    /// Shows `view`. A menu that is open stays open unless lines came or went.
    pub fn show(&self, app: &AppHandle, view: &View, panel: Panel) {
        if let Err(error) = self.try_show(app, view, panel) {
            tracing::warn!(%error, "the tray does not show what is going on");
        }
    }

    fn try_show(&self, app: &AppHandle, view: &View, panel: Panel) -> tauri::Result<()> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = view.lines();
        if is_same_shape(&shown.lines, &lines) {
            for ((old, new), item) in shown.lines.iter().zip(&lines).zip(&shown.items) {
                if old != new || matches!(item, Item::Check(_)) {
                    item.take_over(new)?;
                }
            }
        } else {
            let (menu, items) = build_menu(app, &lines)?;
            self.icon.set_menu(Some(menu))?;
            shown.items = items;
        }
        shown.lines = lines;
        let looks = (view.mood(), panel);
        if shown.looks != Some(looks) {
            let is_template = panel == Panel::Template;
            self.icon.set_icon_with_as_template(icons::icon(looks.0, panel), is_template)?;
            shown.looks = Some(looks);
        }
        let status = view.status();
        if shown.status != status {
            self.icon.set_tooltip(Some(format!("PicGate\n{status}")))?;
            shown.status = status;
        }
        Ok(())
    }
}

impl Item {
    fn take_over(&self, line: &Line) -> tauri::Result<()> {
        let Line::Item { text, enabled, checked, .. } = line else { return Ok(()) };
        match self {
            Self::Rule => Ok(()),
            Self::Plain(item) => {
                item.set_text(text)?;
                item.set_enabled(*enabled)
            }
            // Choosing it has turned it already; it shows what the system says.
            Self::Check(item) => {
                item.set_text(text)?;
                item.set_enabled(*enabled)?;
                item.set_checked(checked.unwrap_or_default())
            }
        }
    }
}

fn is_same_shape(old: &[Line], new: &[Line]) -> bool {
    let command = |line: &Line| if let Line::Item { command, .. } = line { Some(*command) } else { None };
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| command(old) == command(new))
}

fn build_menu(app: &AppHandle, lines: &[Line]) -> tauri::Result<(Menu<Wry>, Vec<Item>)> {
    let menu = Menu::new(app)?;
    let mut items = Vec::with_capacity(lines.len());
    for line in lines {
        let item = match line {
            Line::Rule => {
                menu.append(&PredefinedMenuItem::separator(app)?)?;
                items.push(Item::Rule);
                continue;
            }
            Line::Item { command, text, enabled, checked: None } => {
                Item::Plain(MenuItem::with_id(app, command.word(), text, *enabled, None::<&str>)?)
            }
            Line::Item { command, text, enabled, checked: Some(checked) } => {
                Item::Check(CheckMenuItem::with_id(app, command.word(), text, *enabled, *checked, None::<&str>)?)
            }
        };
        let appended: &dyn IsMenuItem<Wry> = match &item {
            Item::Plain(item) => item,
            Item::Check(item) => item,
            Item::Rule => continue,
        };
        menu.append(appended)?;
        items.push(item);
    }
    Ok((menu, items))
}
