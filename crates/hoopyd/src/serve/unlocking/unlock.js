"use strict";
// Passkeys by WebAuthn's extension `prf`, as age's recipient `fido2prf` uses it: docs/agent.md.
const label = new TextEncoder().encode("age-encryption.org/fido2prf");
const input = (nonce, number) => Uint8Array.from([...label, number, ...nonce]);
// Two inputs, so that one touch opens one file.
const inputs = (nonce) => ({ first: input(nonce, 1), second: input(nonce, 2) });
const encode = (bytes) =>
	btoa(String.fromCharCode(...new Uint8Array(bytes)))
		.replaceAll("+", "-")
		.replaceAll("/", "_")
		.replaceAll("=", "");
const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const random = (count) => crypto.getRandomValues(new Uint8Array(count));

// What the passkey makes of the nonce. Without user verification, passkeys have another secret.
async function evaluate(allow, prf) {
	const publicKey = {
		challenge: random(32),
		allowCredentials: allow.map((id) => ({ id: decode(id), type: "public-key" })),
		userVerification: "required",
		extensions: { prf },
	};
	const credential = await navigator.credentials.get({ publicKey });
	const results = credential.getClientExtensionResults().prf?.results;
	if (!results?.first || !results.second) throw new Error("This passkey or browser cannot encrypt (no PRF extension).");
	return { credential: encode(credential.rawId), first: encode(results.first), second: encode(results.second) };
}

async function post(path, message) {
	const answer = await fetch(path, { method: "POST", body: JSON.stringify(message), cache: "no-store" });
	const text = await answer.text();
	if (!answer.ok) throw new Error(text.trim());
	return text;
}

// Passkeys that say who they are, in one question; one that does not, in its own.
async function unlock(volume, passkeys) {
	const named = passkeys.filter((passkey) => passkey.credential);
	const own = passkeys.length === 1 || named.length === 0;
	const evalByCredential = Object.fromEntries(named.map((one) => [one.credential, inputs(decode(one.nonce))]));
	const prf = own && !named.length ? { eval: inputs(decode(passkeys[0].nonce)) } : { evalByCredential };
	const said = await evaluate(named.map((one) => one.credential), prf);
	const passkey = named.find((one) => one.credential === said.credential) ?? passkeys[0];
	await post("/unlock/" + volume, { passkey: passkey.name, first: said.first, second: said.second });
}

async function enroll(volume, name, key) {
	const publicKey = {
		rp: { name: "" },
		user: { name: volume + " (" + name + ")", id: random(16), displayName: volume },
		pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
		authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
		extensions: { prf: {} },
		challenge: random(32),
	};
	const made = await navigator.credentials.create({ publicKey });
	if (!made.getClientExtensionResults().prf?.enabled) throw new Error("This passkey or browser cannot encrypt (no PRF extension).");
	const nonce = random(16);
	const said = await evaluate([encode(made.rawId)], { eval: inputs(nonce) });
	return post("/unlock/" + volume + "/enroll", { ...said, nonce: encode(nonce), key: encode(key) });
}

const words = {
	open: "Unlocked.",
	locked: "Locked.",
	working: "Unlocking…",
	failed: "Not unlocked: ",
	unknown: "Its program does not say whether it is unlocked.",
};

function button(text, act) {
	const made = document.createElement("button");
	made.textContent = text;
	made.addEventListener("click", act);
	return made;
}

class Volume {
	constructor(section) {
		this.section = section;
		this.name = section.dataset.volume;
		section.querySelector("form").addEventListener("submit", (event) => this.add(event));
		this.look();
	}

	say(text) {
		this.section.querySelector(".state").textContent = text;
	}

	async look() {
		try {
			const answer = await fetch("/unlock/" + this.name, { cache: "no-store" });
			if (!answer.ok) throw new Error(await answer.text());
			this.show(await answer.json());
		} catch (error) {
			this.say(error.message);
		}
	}

	show(state) {
		this.section.dataset.state = state.state;
		this.say(words[state.state] + state.said);
		const buttons = this.section.querySelector(".buttons");
		buttons.replaceChildren();
		if (state.state === "working") return void setTimeout(() => this.look(), 1000);
		if (state.state === "open" || !window.PublicKeyCredential) return;
		const named = state.passkeys.filter((passkey) => passkey.credential);
		if (named.length) buttons.append(button("Unlock with a passkey", () => this.unlock(named)));
		for (const one of state.passkeys.filter((passkey) => !passkey.credential)) {
			buttons.append(button("Unlock with passkey " + one.name, () => this.unlock([one])));
		}
		if (!state.passkeys.length) this.say(words[state.state] + state.said + " No passkey was added for it.");
	}

	async unlock(passkeys) {
		this.say("Waiting for the passkey…");
		try {
			await unlock(this.name, passkeys);
			await this.look();
		} catch (error) {
			this.say("Not unlocked: " + error.message);
		}
	}

	async add(event) {
		event.preventDefault();
		const [form, added] = [event.target, this.section.querySelector(".added")];
		const [name, file] = [form.elements.name.value, form.elements.file.files[0]];
		const typed = new TextEncoder().encode(form.elements.key.value);
		try {
			const key = file ? new Uint8Array(await file.arrayBuffer()) : typed;
			if (!key.length) throw new Error("Type the key of the volume, or choose the file that holds it.");
			added.textContent = "Waiting for the passkey…";
			const sealed = await enroll(this.name, name, key);
			form.reset();
			const path = "root/etc/hoopy/passkeys/" + this.name + "/" + name + ".age";
			const link = document.createElement("a");
			link.href = URL.createObjectURL(new Blob([sealed], { type: "text/plain" }));
			link.download = name + ".age";
			link.textContent = "Save this file";
			const text = document.createElement("pre");
			text.tabIndex = 0;
			text.textContent = sealed;
			added.replaceChildren(link, " as " + path + " of the system directory, build, and deploy. It is no secret.", text);
		} catch (error) {
			added.textContent = "Not added: " + error.message;
		}
	}
}

document.getElementById("hint").hidden = Boolean(window.PublicKeyCredential) && !/^[\d.]+$|:/.test(location.hostname);
for (const section of document.querySelectorAll(".volume")) new Volume(section);
