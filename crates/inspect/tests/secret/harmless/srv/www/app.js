const password = document.getElementById("password");
if (token === undefined) { token: null }
let keyboard = { key: "Enter" };
