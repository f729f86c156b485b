"use strict";
// The page is whole without this: it only puts new numbers in place of old ones.
const parts = ["verdict", "live", "seen"];
async function look() {
	if (document.hidden) return;
	const seen = document.getElementById("seen");
	try {
		const answer = await fetch("/live", { cache: "no-store" });
		if (!answer.ok) throw new Error(answer.statusText);
		const page = new DOMParser().parseFromString(await answer.text(), "text/html");
		for (const id of parts) {
			const [now, next] = [document.getElementById(id), page.getElementById(id)];
			// What has not changed is not read out again.
			if (now && next && now.outerHTML !== next.outerHTML) now.replaceWith(next);
		}
	} catch {
		if (!seen.dataset.lost) {
			seen.dataset.lost = "yes";
			seen.prepend("The machine has not answered since " + new Date().toLocaleTimeString() + ". ");
		}
	}
}
setInterval(look, 10000);
document.addEventListener("visibilitychange", look);
