// The settings that PostHog's browser SDK asks for: nothing is collected but what the page says.
(function () {
  var source = (document.currentScript || {}).src || "";
  var match = /\/array\/([^/]+)\/config\.js/.exec(source);
  if (!match) return;
  var configs = (window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {});
  configs[decodeURIComponent(match[1])] = { config: __CONFIG__, siteApps: [] };
})();
