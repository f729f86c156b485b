mod alerts;
mod clients;
mod content;
mod load;
mod scripts;
mod server;
