// A page that is opened from a folder may start no worker. The theme's own stand-in is loaded from elsewhere; this one runs
// the search's script in a hidden frame of the same page.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.worker = this;
      this.frame.srcdoc =
        "<script>postMessage = data => frameElement.worker.dispatchEvent(new MessageEvent('message', { data }))</script>" +
        `<script src="${url}"></script>`;
      this.loaded = new Promise(resolve => { this.frame.onload = resolve; });
      document.body.append(this.frame);
    }

    async postMessage(data) {
      await this.loaded;
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
