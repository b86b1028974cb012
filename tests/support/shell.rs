//! A native shell that writes down what it is asked, and a keychain in memory.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use picgate_gateway::shell::{Keychain, Page, Shell};

/// A keychain of the system.
#[derive(Default)]
pub struct FakeKeychain {
    pub keys: Mutex<BTreeMap<String, String>>,
    /// It is locked: nothing can be read or written.
    pub locked: AtomicBool,
    /// It says that it keeps what it forgets.
    pub forgetful: AtomicBool,
    /// Its user is asked before something is written.
    asks: Mutex<Option<mpsc::Receiver<()>>>,
}

impl FakeKeychain {
    /// Everything that lies there, by the last part of its name.
    pub fn values(&self) -> BTreeMap<String, String> {
        let keys = self.keys.lock().expect("a lock");
        keys.iter().map(|(name, value)| (name.rsplit('/').next().expect("a name").to_owned(), value.clone())).collect()
    }

    /// The next time that something is written, its user is asked first, and answers when what is returned is dropped.
    pub fn ask_next(&self) -> mpsc::Sender<()> {
        let (answer, asks) = mpsc::channel();
        *self.asks.lock().expect("a lock") = Some(asks);
        answer
    }

    /// Whether its user is being asked, or was.
    pub fn has_asked(&self) -> bool {
        self.asks.lock().expect("a lock").is_none()
    }

    fn open(&self) -> Result<(), String> {
        if self.locked.load(Ordering::Relaxed) { Err("the login keyring is locked".into()) } else { Ok(()) }
    }
}

impl Keychain for FakeKeychain {
    fn get(&self, name: &str) -> Result<Option<String>, String> {
        self.open()?;
        Ok(self.keys.lock().expect("a lock").get(name).cloned())
    }

    fn set(&self, name: &str, value: &str) -> Result<(), String> {
        self.open()?;
        let asks = self.asks.lock().expect("a lock").take();
        if let Some(answer) = asks {
            let _ = answer.recv();
        }
        if !self.forgetful.load(Ordering::Relaxed) {
            self.keys.lock().expect("a lock").insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        self.open()?;
        self.keys.lock().expect("a lock").remove(name);
        Ok(())
    }
}

/// The desktop app.
#[derive(Default)]
pub struct FakeShell {
    pub autostart: AtomicBool,
    /// Pages and addresses in the order in which they were opened.
    pub opened: Mutex<Vec<String>>,
    /// Why nothing can be opened.
    pub broken: Mutex<Option<String>>,
    pub keychain: Option<Arc<FakeKeychain>>,
}

impl FakeShell {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn with_keychain(keychain: &Arc<FakeKeychain>) -> Arc<Self> {
        Arc::new(Self { keychain: Some(keychain.clone()), ..Self::default() })
    }

    pub fn opened(&self) -> Vec<String> {
        std::mem::take(&mut *self.opened.lock().expect("a lock"))
    }

    fn note(&self, what: String) -> Result<(), String> {
        if let Some(problem) = self.broken.lock().expect("a lock").clone() {
            return Err(problem);
        }
        self.opened.lock().expect("a lock").push(what);
        Ok(())
    }
}

impl Shell for FakeShell {
    fn autostart(&self) -> Result<bool, String> {
        match self.broken.lock().expect("a lock").clone() {
            Some(problem) => Err(problem),
            None => Ok(self.autostart.load(Ordering::Relaxed)),
        }
    }

    fn set_autostart(&self, on: bool) -> Result<(), String> {
        self.note(format!("autostart {on}"))?;
        self.autostart.store(on, Ordering::Relaxed);
        Ok(())
    }

    fn open_folder(&self, path: &Path) -> Result<(), String> {
        self.note(path.display().to_string())
    }

    fn open_page(&self, page: Page, rest: Option<&str>) {
        let _ = self.note(format!("{}{}", page.path(), rest.unwrap_or_default()));
    }

    fn open_external(&self, url: &str) -> Result<(), String> {
        self.note(url.to_owned())
    }

    fn keychain(&self) -> Option<Arc<dyn Keychain>> {
        self.keychain.clone().map(|keychain| keychain as Arc<dyn Keychain>)
    }
}
