// The link that `offhook serve` shows carries the token behind the #, which browsers send to nobody.
// The form is filled in and not sent: a link from elsewhere must not have anybody sign in, or fail to.
const found = /^#token=([\w-]{16,512})$/.exec(location.hash);
if (found) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = found[1];
  document.querySelector("button").focus();
}
