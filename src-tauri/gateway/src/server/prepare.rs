//! What is read from the data folder before anything runs: its mark, its keys, its account.

use super::StartError;
use crate::{
    account::{Account, Tickets},
    config::Config,
    model::Secret,
    settings::Keys,
    store::{self, Db, Folder, SecretsError, SecretsFile, Vault},
};

/// Compares the mark of the folder with the one in the database, which learns it from a new folder.
pub(super) async fn check_mark(folder: &Folder, db: &Db) -> Result<(), StartError> {
    let known = db.read(|c| store::meta(c, "install_id")).await?;
    let is_new = known.is_none();
    let mark = folder.check_mark(known)?;
    if is_new {
        db.write(move |t| store::set_meta(t, "install_id", &mark)).await?;
    }
    Ok(())
}

/// The account, and the ticket that opens its set-up while there is none.
pub(super) async fn open_account(config: &Config, db: &Db, vault: &Vault) -> Result<(Account, Option<Secret>), StartError> {
    let is_set_up = db.read(store::admin).await?.is_some();
    if is_set_up {
        return Ok((Account::new(db.clone(), Tickets::default()), None));
    }
    if let Some((username, password)) = &config.admin {
        let account = Account::new(db.clone(), Tickets::default());
        account.create(username, password.expose()).await?;
        return Ok((account, None));
    }
    let ticket = match vault.secrets().setup_ticket {
        Some(ticket) => ticket,
        None => {
            let ticket = vault.random_key()?;
            let kept = ticket.clone();
            vault.change(move |secrets| secrets.setup_ticket = Some(kept)).await?;
            ticket
        }
    };
    Ok((Account::new(db.clone(), Tickets::with(Some(ticket.expose().to_owned()))), Some(ticket)))
}

/// The keys, and whether they were made just now. A keychain may ask its user first.
pub(super) async fn read_keys(file: SecretsFile) -> Result<(store::Secrets, bool), SecretsError> {
    let read = move || {
        let first_start = !file.exists();
        Ok((file.read_or_create()?, first_start))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(SecretsError::Keychain { problem: error.to_string() }))
}

/// The keys that settings are made with.
pub(super) fn keys_of(secrets: &store::Secrets) -> Keys {
    Keys { gateway: secrets.gateway_key.clone(), bucket: secrets.r2_secret_access_key.clone() }
}
