mod alerts;
mod browser;
mod clients;
mod content;
mod load;
mod scripts;
mod server;
