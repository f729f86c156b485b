// Drives Chromium over the DevTools protocol on pipes, with a virtual authenticator in it:
// node passkey.mjs PROFILE URL FOREIGN SCREENSHOTS. Prints what it found as JSON.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";

const [profile, url, foreign, screenshots] = process.argv.slice(2);
const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
	"--host-resolver-rules=MAP *.home.arpa 127.0.0.1", "--remote-debugging-pipe", "--user-data-dir=" + profile, "about:blank"];
const chromium = spawn("chromium", args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const [to, from] = [chromium.stdio[3], chromium.stdio[4]];
const waiting = new Map();
let [count, rest, session] = [0, "", undefined];
from.on("data", (data) => {
	const parts = (rest + data).split("\0");
	rest = parts.pop();
	for (const part of parts) {
		const message = JSON.parse(part);
		if (message.method === "Fetch.authRequired") {
			const authChallengeResponse = { response: "ProvideCredentials", username: "me", password: "right" };
			send("Fetch.continueWithAuth", { requestId: message.params.requestId, authChallengeResponse });
		}
		if (message.method === "Fetch.requestPaused") send("Fetch.continueRequest", { requestId: message.params.requestId });
		if (message.method === "Runtime.exceptionThrown") console.error(JSON.stringify(message.params));
		waiting.get(message.id)?.(message);
	}
});
function send(method, params = {}) {
	const id = ++count;
	to.write(JSON.stringify({ id, method, params, sessionId: session }) + "\0");
	return new Promise((done, failed) =>
		waiting.set(id, (message) => (message.error ? failed(new Error(method + ": " + message.error.message)) : done(message.result))),
	);
}
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
async function run(expression) {
	const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true, userGesture: true });
	if (exceptionDetails) throw new Error(expression.slice(0, 80) + ": " + exceptionDetails.exception?.description);
	return result.value;
}
async function until(expression) {
	for (let n = 0; n < 150; n++) {
		if (await run(expression)) return;
		await sleep(100);
	}
	throw new Error("never: " + expression + ": " + (await run("document.body.innerText")));
}
async function open(address) {
	await send("Page.navigate", { url: address });
	await until("document.readyState === 'complete'");
}
async function screenshot(name, width, scheme) {
	await send("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
	await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
	const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: true });
	writeFileSync(screenshots + "/unlock-" + name + ".png", data, "base64");
}
const click = (text) => run(`[...document.querySelectorAll("button")].find((b) => b.textContent === ${JSON.stringify(text)}).click()`);
async function enroll(name) {
	await run(`document.querySelector(".added").textContent = "";
		document.querySelector("details").open = true;
		document.querySelector("[name=name]").value = ${JSON.stringify(name)};
		document.querySelector("[name=key]").value = "the key of tank";
		document.querySelector("form button").click()`);
	await until('/Save this file|Not added/.test(document.querySelector(".added").textContent)');
	return run('document.querySelector(".added pre")?.textContent ?? document.querySelector(".added").textContent');
}
// What is asked of the test that serves the page: to keep a file, and to lock the volume.
let answered = () => {};
process.stdin.on("data", () => answered());
async function tell(message) {
	const answer = new Promise((done) => (answered = done));
	console.log(JSON.stringify(message));
	await answer;
}

setTimeout(() => {
	console.log(JSON.stringify({ error: "not done within two minutes" }));
	chromium.kill();
	process.exit(1);
}, 120000);
try {
	const { targetInfos } = await send("Target.getTargets");
	const { targetId } = targetInfos.find((target) => target.type === "page");
	session = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
	await send("Page.enable");
	await send("Runtime.enable");
	await send("Fetch.enable", { handleAuthRequests: true });
	await send("WebAuthn.enable");
	const options = { protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true,
		isUserVerified: true, automaticPresenceSimulation: true, hasPrf: true };
	const authenticator = (await send("WebAuthn.addVirtualAuthenticator", { options })).authenticatorId;

	await open(url);
	await until('document.querySelector(".volume").dataset.state === "locked"');
	await screenshot("empty", 1100, "light");
	// Two passkeys for one volume.
	const phone = await enroll("phone");
	await screenshot("enrolled", 360, "light");
	const width = await run("document.documentElement.scrollWidth");
	if (width > 360) throw new Error("on a phone of 360 pixels the page has " + width);
	await tell({ keep: "phone", text: phone });
	// age's TypeScript implementation opens what the page made: before there is another passkey, since Chromium would ask
	// its user to choose.
	await run(`import("/age.mjs").then((age) => { window.age = age; })`);
	const opened = await run(`(async () => {
		const decrypter = new age.Decrypter();
		decrypter.addIdentity(new age.webauthn.WebAuthnIdentity());
		return decrypter.decrypt(age.armor.decode(${JSON.stringify(phone)}), "text");
	})()`).catch((error) => error.message);
	await tell({ keep: "desk", text: await enroll("desk") });
	const { credentials } = await send("WebAuthn.getCredentials", { authenticatorId: authenticator });

	await open(url);
	await until('document.querySelector(".buttons button")');
	await screenshot("locked", 1100, "dark");
	await click("Unlock with a passkey");
	await until('document.querySelector(".volume").dataset.state === "open"');
	await screenshot("open", 500, "dark");

	await tell({ lock: true, opened });
	// And it makes what the page opens.
	await run(`import("/age.mjs").then((age) => { window.age = age; })`);
	const typage = await run(`(async () => {
		const identity = await age.webauthn.createCredential({ keyName: "typage" });
		const writer = new age.Encrypter();
		writer.addRecipient(new age.webauthn.WebAuthnRecipient({ identity }));
		return age.armor.encode(await writer.encrypt("the key of tank"));
	})()`);
	await tell({ keep: "typage", text: typage });
	// Its passkey is the one that is left: a file that names none asks for whichever there is.
	for (const { credentialId } of credentials) await send("WebAuthn.removeCredential", { authenticatorId: authenticator, credentialId });
	await open(url);
	await until('document.querySelectorAll(".buttons button").length === 2');
	await screenshot("several", 1100, "light");
	await click("Unlock with passkey typage");
	await until('/^(Unlocked|Not unlocked)/.test(document.querySelector(".state").textContent)');
	const typageOpens = await run('document.querySelector(".state").textContent');

	// A page whose certificate nobody trusts is not even shown.
	const { errorText } = await send("Page.navigate", { url: foreign });
	console.log(JSON.stringify({ done: true, typageOpens, foreign: errorText }));
} catch (error) {
	console.log(JSON.stringify({ error: error.stack }));
}
chromium.kill();
process.exit(0);
